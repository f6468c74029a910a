"""Images from a registry that speaks Docker's version 2 or OCI distribution.

Rules: https, except for a registry that `--docker_registry` gives as http, or that listens on this machine's loopback. Who asks for
a login gets the one of its own host, as a basic header or for a token, and a login goes over http only to a registry of http. Documents and layers are
hashed as they come and cut off at the size that was announced. A transfer in which nothing, or next to nothing, arrives for the stall timeout
fails, so that no registry holds up the pulls from others. A web page is no answer.
Errors: ImageError, with the registry, the image and what to do.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from merismos.containers.images.credentials import Login, login_for
from merismos.containers.images.documents import (
    DOCUMENT_BYTES_MAX,
    MANIFEST_TYPES,
    Descriptor,
    ImageError,
    choose,
    decode_manifest,
    digest_of,
)
from merismos.containers.images.source import Blob, FoundImage
from merismos.model.image_reference import ImageReference

RATE_BYTES_MIN = 1024
_INDEX_DEPTH_MAX = 2
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')
_CONTENT_DIGEST = "Docker-Content-Digest"


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class Registry:
    """Pulls for one set of logins; the sockets are shared by all pulls."""

    def __init__(
        self,
        default: URL,
        logins: Mapping[str, Login],
        *,
        stall_timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._default = default
        self._logins = dict(logins)
        self._stall_timeout_s = stall_timeout_s
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._authorizations: dict[tuple[str, str], str] = {}

    @property
    def host(self) -> str:
        """The registry of images whose name has none."""
        return self._default.authority

    def with_logins(self, logins: Mapping[str, Login]) -> Registry:
        """Return a registry that knows these logins too, and shares nothing with this one."""
        return Registry(self._default, {**self._logins, **logins}, stall_timeout_s=self._stall_timeout_s, tls=self._tls)

    async def close(self) -> None:
        """Close the sockets."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def find(self, reference: ImageReference) -> FoundImage:
        """Return what the image consists of."""
        what = reference.text
        version = reference.version
        for _ in range(_INDEX_DEPTH_MAX + 1):
            raw = await self._document(reference, f"manifests/{version}", version, DOCUMENT_BYTES_MAX)
            manifest = decode_manifest(raw, f"the manifest of {what}")
            if manifest.config is not None:
                blobs = [Blob(one.digest, one.size, one.digest) for one in manifest.layers]
                return FoundImage(digest_of(raw), await self._configuration(reference, manifest.config), blobs)
            version = choose(manifest, what).digest
        raise ImageError(f"{what} is an index of indexes without end")

    async def bring(self, reference: ImageReference, blob: Blob, target: Path) -> None:
        """Write a layer."""
        what = f"layer {blob.digest} of {reference.text}"
        hashed = hashlib.sha256()
        left = blob.size
        async with self._get(reference, f"blobs/{blob.digest}") as answer:
            with target.open("wb") as file:
                async for piece in self._pieces(answer, what):
                    left -= len(piece)
                    if left < 0:
                        raise ImageError(f"{what} is longer than the {blob.size} bytes that its manifest says")
                    hashed.update(piece)
                    file.write(piece)
        if left or f"sha256:{hashed.hexdigest()}" != blob.digest:
            raise ImageError(f"{what} arrived damaged: its digest is sha256:{hashed.hexdigest()}; try again")

    async def _configuration(self, reference: ImageReference, config: Descriptor) -> bytes:
        return await self._document(reference, f"blobs/{config.digest}", config.digest, DOCUMENT_BYTES_MAX)

    async def _document(self, reference: ImageReference, path: str, version: str, bytes_max: int) -> bytes:
        async with self._get(reference, path) as answer:
            pieces = []
            left = bytes_max
            async for piece in self._pieces(answer, f"{path} of {reference.text}"):
                left -= len(piece)
                if left < 0:
                    raise ImageError(f"{path} of {reference.text} is longer than {bytes_max} bytes")
                pieces.append(piece)
            raw = b"".join(pieces)
        if ":" in version and digest_of(raw) != version:
            raise ImageError(f"{path} of {reference.text} arrived damaged: its digest is {digest_of(raw)}; try again")
        return raw

    async def _pieces(self, answer: aiohttp.ClientResponse, what: str) -> AsyncIterator[bytes]:
        """Yield what arrives, as long as enough of it does.

        Errors: ImageError.
        """
        clock = asyncio.get_running_loop().time
        since, arrived = clock(), 0
        async for piece in answer.content.iter_any():
            arrived += len(piece)
            took_s = clock() - since
            if took_s > self._stall_timeout_s:
                if arrived < took_s * RATE_BYTES_MIN:
                    raise ImageError(f"{what} comes at {arrived / took_s:.0f} bytes a second; is the registry well?")
                since, arrived = clock(), 0
            yield piece

    @asynccontextmanager
    async def _get(self, reference: ImageReference, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask, log in where that is wanted, ask again."""
        url = self._url_of(reference.registry) / f"v2/{reference.repository}/{path}"
        key = (reference.registry, reference.repository)
        what = f"cannot pull {reference.text} from {reference.registry}"
        try:
            answer = await self._ask(url, self._authorizations.get(key))
            if answer.status == HTTPStatus.UNAUTHORIZED:
                challenge = answer.headers.get(hdrs.WWW_AUTHENTICATE, "")
                answer.release()
                self._authorizations[key] = await self._log_in(reference, challenge)
                answer = await self._ask(url, self._authorizations[key])
            async with answer:
                if answer.status != HTTPStatus.OK:
                    raise ImageError(f"{what}: {_refusal(answer.status)}")
                if answer.content_type == "text/html":
                    raise ImageError(
                        f"{what}: it answers with a web page; is that a registry, or is a proxy in between?"
                    )
                yield answer
        except TimeoutError as error:
            text = f"{what}: nothing arrived for {self._stall_timeout_s:g} s; is the registry there, and the network?"
            raise ImageError(text) from error
        except aiohttp.TooManyRedirects as error:
            raise ImageError(f"{what}: it sends us from one address to the next without end") from error
        except (OSError, aiohttp.ClientError) as error:
            raise ImageError(f"{what}: {str(error) or type(error).__name__}") from error

    async def _ask(self, url: URL, authorization: str | None) -> aiohttp.ClientResponse:
        if self._session is None:
            limit = aiohttp.ClientTimeout(
                total=None, sock_connect=self._stall_timeout_s, sock_read=self._stall_timeout_s
            )
            connector = aiohttp.TCPConnector(ssl=True if self._tls is None else self._tls)
            self._session = aiohttp.ClientSession(
                timeout=limit, trust_env=True, auto_decompress=False, connector=connector
            )
        headers = {hdrs.ACCEPT: ", ".join((*MANIFEST_TYPES, "*/*")), hdrs.ACCEPT_ENCODING: "identity"}
        if authorization is not None:
            headers[hdrs.AUTHORIZATION] = authorization
        # a redirect of a registry leads to a storage of its own; aiohttp drops the login on the way to another host
        return await self._session.get(url, headers=headers)

    async def _log_in(self, reference: ImageReference, challenge: str) -> str:
        """Return what proves who we are, as the registry asks for it."""
        login = login_for(self._logins, reference.registry)
        scheme = challenge.partition(" ")[0].lower()
        where = f"{reference.registry} asks who we are before {reference.text} may be pulled"
        if scheme == "basic":
            if login is None:
                raise ImageError(f"{where}: give --docker_config, or a config with the image, with a login for it")
            return login.basic
        given = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(challenge)}
        realm = URL(given.get("realm", ""))
        secure = realm.scheme == "https" or (realm.scheme == "http" and self._is_plain(reference.registry))
        if scheme != "bearer" or not realm.host or not secure:
            raise ImageError(f"{where}, in a way that is not known or not safe: '{challenge[:200]}'")
        query = {"scope": given.get("scope") or f"repository:{reference.repository}:pull"}
        if given.get("service"):
            query["service"] = given["service"]
        async with await self._ask(realm.update_query(query), None if login is None else login.basic) as answer:
            if answer.status != HTTPStatus.OK:
                raise ImageError(f"{where}: {realm.host} gives no token: {_refusal(answer.status)}")
            raw = await answer.content.read(DOCUMENT_BYTES_MAX)
        try:
            found = msgspec.json.decode(raw, type=_Token)
        except msgspec.DecodeError as error:
            raise ImageError(f"{where}: {realm.host} answers with something else than a token: {error}") from error
        token = found.token or found.access_token
        if not token or not token.isascii() or not token.isprintable():
            raise ImageError(f"{where}: {realm.host} answers without a token")
        return f"Bearer {token}"

    def _url_of(self, host: str) -> URL:
        if host == self._default.authority:
            return self._default
        return URL(f"{'http' if _LOOPBACK.fullmatch(host) else 'https'}://{host}")

    def _is_plain(self, host: str) -> bool:
        return self._url_of(host).scheme == "http"


def _refusal(status: int) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return "there is no such image (404); look at its name and tag"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return f"we may not have it ({status}); look at --docker_config, or at the image's own config"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "it was asked too often (429); log in, or wait"
    return f"it answers with status {status}"


async def gather_all(work: list[asyncio.Task[None]]) -> None:
    """Wait for all; where one fails, the others are stopped before its error goes on."""
    try:
        await asyncio.gather(*work)
    finally:
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)
