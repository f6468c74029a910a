"""Parts that are chosen by name: built-in ones, and foreign ones found by entry points of installed packages.

Rules: a name belongs to one part; a foreign part can't take a built-in one's name. Nothing is imported before it is chosen.

| group | a part is | called with |
|---|---|---|
| `merismos.detectors` | a function that returns a ports.detector.Detector | address, session timeout in seconds |
| `merismos.contenders` | a function that returns a ports.contender.Contender | address, session timeout in seconds |
| `merismos.storages` | a function that returns a ports.registry.RegistryStore | --work_dir, which may be None |

They are called inside the running event loop, and raise their port's error for what can't be.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import metadata
from typing import Any, Final

from merismos.ports.detector import Detector, DetectorError

DETECTORS: Final = "merismos.detectors"
CONTENDERS: Final = "merismos.contenders"
STORAGES: Final = "merismos.storages"
BUILT_IN: Final = {
    (DETECTORS, "static"): "merismos.adapters.coordination.static:make",
    (DETECTORS, "zk"): "merismos.adapters.zookeeper.detector:make",
}
SESSION_TIMEOUT_S: Final = 10.0


class PluginError(Exception):
    """No part has this name, or it can't be loaded; the text says which there are."""


def find(group: str, name: str) -> Callable[..., Any]:
    """Return the part of this name.

    Errors: PluginError.
    """
    built_in = BUILT_IN.get((group, name))
    if built_in is not None:
        module, _, attribute = built_in.partition(":")
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
    for entry in metadata.entry_points(group=group, name=name):
        try:
            part = entry.load()
        except Exception as error:
            raise PluginError(f"{entry.value}, the {group} entry point '{name}', can't be loaded: {error}") from error
        return part  # type: ignore[no-any-return]
    raise PluginError(f"there is no '{name}' among {group}: there are {', '.join(names(group)) or 'none'}")


def names(group: str) -> list[str]:
    """Return the names of a group's parts."""
    built_in = [name for of, name in BUILT_IN if of == group]
    return sorted({*built_in, *metadata.entry_points(group=group).names})


def detector_of(address: str, name: str | None = None, session_timeout_s: float = SESSION_TIMEOUT_S) -> Detector:
    """Return the detector of this name; without one, that of the address' scheme (`zk://...`), or the static one.

    Errors: DetectorError.
    """
    scheme, separator, _ = address.partition("://")
    try:
        make = find(DETECTORS, name or (scheme if separator else "static"))
    except PluginError as error:
        raise DetectorError(f"{address}: {error}") from error
    detector: Detector = make(address, session_timeout_s)
    return detector
