"""Makes the peers' environment, once, and says which of them can not be had here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.demo.process import ROOT

FOLDER = ROOT / ".peers"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
RESTATE = "@restatedev/restate-server@1.7.12"
PATIENCE = 300
"""Seconds for one installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """What is installed."""

    python: str = ""
    """An interpreter that has the libraries."""
    restate_server: str = ""
    notes: tuple[str, ...] = ()
    """Who is missing, and why."""


def install() -> Peers:
    """Install what is not there yet."""
    notes = []
    python = FOLDER / "bin" / "python"
    if not _is_done("python") and (trouble := _install_libraries(python)):
        notes.append(f"celery-saga, DBOS and Restate were not measured: {trouble}")
    if not _is_done("restate") and (trouble := _install_restate()):
        notes.append(f"Restate was not measured: {trouble}")
    server = next((FOLDER / "restate").glob("node_modules/@restatedev/restate-server-*/bin/restate-server"), None)
    return Peers(
        python=str(python) if _is_done("python") else "",
        restate_server=str(server) if server and _is_done("restate") else "",
        notes=tuple(notes),
    )


def _install_libraries(python: Path) -> str:
    """What went wrong, if anything."""
    print("installing celery-saga, DBOS and the SDK of Restate into .peers …", file=sys.stderr, flush=True)
    return (
        _run([sys.executable, "-m", "venv", str(FOLDER)])
        or _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(REQUIREMENTS)])
        or _done("python")
    )


def _install_restate() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return "its server is a package of npm, which is not on the PATH"
    print("installing the server of Restate into .peers …", file=sys.stderr, flush=True)
    folder = FOLDER / "restate"
    folder.mkdir(parents=True, exist_ok=True)
    return _run([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", RESTATE]) or _done("restate")


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"{' '.join(command[:4])} took more than {PATIENCE} s"
    last = (done.stderr or done.stdout).strip().splitlines()[-1:]
    return f"{' '.join(command[:4])} ended with {done.returncode}: {''.join(last)}" if done.returncode else ""


def _mark(what: str) -> Path:
    return FOLDER / f".{what}"


def _wanted(what: str) -> str:
    return REQUIREMENTS.read_text() if what == "python" else RESTATE


def _is_done(what: str) -> bool:
    """Installed to its end, in the versions that are asked for today."""
    return _mark(what).exists() and _mark(what).read_text() == _wanted(what)


def _done(what: str) -> str:
    _mark(what).write_text(_wanted(what))
    return ""
