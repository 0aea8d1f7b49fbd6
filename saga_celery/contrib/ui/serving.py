"""The server: waitress on a socket of ours, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import waitress

from saga_celery.contrib.ui.application import LARGEST_BODY
from saga_celery.errors import NotConfigured

THREADS = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen."""

    family: int
    address: str
    port: int


def place(host: str, port: int) -> Place:
    """The address of a name.

    Args:
        host: a name, or an address of either family.
        port: 0 for any that is free.

    Raises:
        NotConfigured: the name is not known here.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise NotConfigured(f"--host {host}: {error.strerror}; give a name or an address of this machine") from error
    family, *_, (address, *_) = found[0]
    return Place(family, str(address), port)


def listening_at(place: Place) -> socket.socket:
    """A socket that listens.

    Raises:
        NotConfigured: the port is taken, or the address is not this machine's.
    """
    try:
        return socket.create_server((place.address, place.port), family=place.family)
    except OSError as error:
        raise NotConfigured(
            f"nobody can listen at {place.address} port {place.port}: {os.strerror(error.errno or 0)}; name another "
            "--port (0: any that is free), or another --host"
        ) from error


def address_of(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(app: Callable[..., Any], listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until a signal comes; those under way then have 5 seconds.

    Args:
        app: the WSGI app.
        listening: is closed at the end.
        ready: called when the signals are heeded.
    """
    parts: dict[int, Any] = {}
    server = waitress.create_server(
        app,
        map=parts,
        sockets=[listening],
        threads=THREADS,
        ident="",
        max_request_body_size=LARGEST_BODY,
        clear_untrusted_proxy_headers=False,  # the app looks whether there are any
    )
    with _sigterm_as_ctrl_c():
        try:
            ready()
            server.run()  # ends by itself at Ctrl-C
        except KeyboardInterrupt:
            pass  # it came before that was so
        finally:
            server.task_dispatcher.shutdown()
            for part in list(parts.values()):
                part.close()


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
