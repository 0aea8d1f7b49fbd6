"""A webhook's other side: an HTTP server in a thread that notes what is posted, and answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Receiver:
    """What came, and what is answered; the last answer stands for all that come later."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    """Those of each answer."""
    bodies: list[bytes] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    """The path, method and headers of each request, in small letters."""

    @property
    def posted(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    def answer(self) -> int:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            receiver.bodies.append(body)
            found = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append({"path": self.path, "method": self.command, **found})
            self.send_response(receiver.answer())
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET = take  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    serving = Thread(target=server.serve_forever)
    serving.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook/s3cret"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
