"""Installs the third-party Mesos clients that tests/clients runs, in environments of their own under var/clients: `make clients`.

Rules: the clients stay as their registries serve them, pinned with hashes by requirements/clients*.txt and js/package-lock.json.
http-parser, which pymesos needs, ships C that a current Python can't compile; Cython writes it anew from the source beside it.
Toil's extra for Mesos asks for pymesos on older Pythons only, and avmesos-cli for a newer Python: both run on this one as they are.
What can't be installed here (no npm, no compiler, no network) is no error: the reason is written down, and its tests are skipped
with it. What is installed already stays.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE = ROOT / "var" / "clients"
PYTHON = MADE / "venv" / "bin" / "python"
AVMESOS_CLI = MADE / "avmesos-cli"
JS = Path(__file__).with_name("js")
REQUIREMENTS = ROOT / "requirements"
STEP_S_MAX = 300
HTTP_PARSER = "http-parser"


def _run(*command: str | Path, cwd: Path = ROOT) -> None:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=STEP_S_MAX, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as late:
        text = f"{Path(command[0]).name} took more than {STEP_S_MAX} s"
        raise RuntimeError(text) from late
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        text = f"`{' '.join(map(str, command))}` exited with {done.returncode}: {' | '.join(lines[-4:])}"
        raise RuntimeError(text)


def _pip(*arguments: str | Path) -> None:
    _run(PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments)


def _pins_of(requirements: Path, package: str) -> str:
    kept: list[str] = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{package}==") or (kept and line.startswith("    --hash")):
            kept.append(line)
        elif kept:
            break
    return "\n".join(kept) + "\n"


def _install_http_parser() -> None:
    sources = MADE / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir()
    pins = sources / "http-parser.txt"
    pins.write_text(_pins_of(REQUIREMENTS / "clients.txt", HTTP_PARSER), encoding="utf-8")
    fetch = ("download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes")
    _pip(*fetch, "-d", sources, "-r", pins)
    (archive,) = sources.glob("*.tar.gz")
    shutil.unpack_archive(archive, sources)
    (unpacked,) = (path for path in sources.iterdir() if path.is_dir())
    _run(PYTHON, "-m", "cython", "-3", "http_parser/parser.pyx", "-o", "http_parser/parser.c", cwd=unpacked)
    _pip("install", "--no-deps", "--no-build-isolation", unpacked)


def _install_avmesos_cli() -> None:
    shutil.rmtree(AVMESOS_CLI, ignore_errors=True)
    into = ("install", "--no-compile", "--no-build-isolation", "--require-hashes", "--target", AVMESOS_CLI)
    _pip(*into, "-r", REQUIREMENTS / "clients-avmesos-cli.txt")
    itself = ("--no-deps", "--ignore-requires-python", "--upgrade")
    _pip(*into, *itself, "-r", REQUIREMENTS / "clients-avmesos-cli-itself.txt")


def install_python() -> None:
    """Make a virtual environment with pymesos, avmesos, task-processing and toil in it, and a folder with avmesos-cli."""
    if sys.version_info[:2] != (3, 11):
        text = f"pymesos needs http-parser, which builds on Python 3.11 only; this is {sys.version.split()[0]}"
        raise RuntimeError(text)
    if shutil.which(os.environ.get("CC", "cc")) is None:
        text = "pymesos needs http-parser, which needs a C compiler; there is no `cc` here"
        raise RuntimeError(text)
    _run(sys.executable, "-m", "venv", "--clear", MADE / "venv")
    _pip("install", "--require-hashes", "-r", REQUIREMENTS / "clients-build.txt")
    _install_http_parser()
    _pip("install", "--no-compile", "--no-build-isolation", "--require-hashes", "-r", REQUIREMENTS / "clients.txt")
    _run(PYTHON, "-c", "import avmesos, mesoshttp, pymesos, http_parser.parser, task_processing, toil")
    _install_avmesos_cli()


def install_npm() -> None:
    """Make a folder with mesos-framework in it."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        text = "mesos-framework needs node and npm; there is none here"
        raise RuntimeError(text)
    js = MADE / "js"
    shutil.rmtree(js, ignore_errors=True)
    js.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(JS / name, js / name)
    _run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=js)


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def ensure(kind: str, install: Callable[[], None], inputs: Iterable[Path]) -> None:
    """Install unless what is there was made from the same inputs; leave a stamp, or the reason why it can't be."""
    stamp, reason = MADE / f"{kind}.stamp", MADE / f"{kind}.reason"
    wanted = _digest(inputs)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    stamp.unlink(missing_ok=True)
    print(f"installing the {kind} clients for tests/clients", file=sys.stderr)
    try:
        install()
    except (RuntimeError, OSError) as problem:
        reason.write_text(f"{problem}\n", encoding="utf-8")
        print(f"no {kind} clients: {problem}", file=sys.stderr)
        return
    reason.unlink(missing_ok=True)
    stamp.write_text(wanted, encoding="utf-8")


def main() -> int:
    """Install what can be installed."""
    MADE.mkdir(parents=True, exist_ok=True)
    this = Path(__file__)
    with ThreadPoolExecutor() as both:
        python = both.submit(ensure, "python", install_python, [*sorted(REQUIREMENTS.glob("clients*.txt")), this])
        npm = both.submit(ensure, "npm", install_npm, [JS / "package.json", JS / "package-lock.json", this])
        python.result()
        npm.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
