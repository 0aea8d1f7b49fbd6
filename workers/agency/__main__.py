"""`python -m workers.agency`: the agency with a broker, a database and a worker of its own, until Ctrl-C."""

from __future__ import annotations

import json
import logging
import os
import secrets  # noqa: TID251 - keys and passwords for one run
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from workers.agency.factory import create_app
from workers.agency.opening import AGENT, TRAINEE, open_agency
from workers.agency.options import Options, parse
from workers.demo.broker import Broker, open_broker
from workers.demo.fleet import Fleet
from workers.demo.folder import work_folder
from workers.demo.process import ROOT, NotStarted
from workers.demo.standing import stand

HOST = "127.0.0.1"
WORKER = {"worker": "workers.agency.make_celery"}
ENVIRONMENT = "environment.sh"


class CannotBegin(Exception):
    """The agency was pointed at something that it cannot use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agency until it is told to end, and answer the exit code."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with suppress(KeyboardInterrupt):
            run(options)
    except (CannotBegin, NotStarted, OSError) as reason:
        print(reason, file=sys.stderr)
        return 2
    return 0


def run(options: Options) -> None:
    """Start everything, say where it is, and serve."""
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder(options.folder, prefix="saga-agency-"))
        broker = stack.enter_context(open_broker(options.broker, folder))
        if not options.json:
            print(f"Broker: {broker.description}\nDatabase and logs: {folder}\nOpening …", flush=True)
        environment = _environment(options, broker, folder)
        os.environ.update(environment)
        _write(environment, folder / ENVIRONMENT)
        _migrate()
        app, password = create_app(), secrets.token_urlsafe(6)
        with app.app_context():
            is_new = open_agency(places=options.places, password=password)
        fleet = stack.enter_context(Fleet(folder, environment, options.concurrency, WORKER))
        server = stack.enter_context(_server(app, options.port))
        _announce(options, server, broker, folder, password if is_new else None)
        # Celery 5.7 ends a worker that loses Redis with messages in hand, rather than reconnect.
        stand(fleet.replace_ended)


def _environment(options: Options, broker: Broker, folder: Path) -> dict[str, str]:
    """The configuration, for this process and the worker."""
    return {
        "AGENCY_SECRET_KEY": secrets.token_urlsafe(32),
        "AGENCY_SQLALCHEMY_DATABASE_URI": options.database or f"sqlite:///{folder / 'agency.db'}",
        "AGENCY_CELERY__broker_url": broker.url,
        "AGENCY_CELERY__broker_transport_options": json.dumps(dict(broker.transport_options)),
        "AGENCY_PACE": str(options.pace),
    }


def _write(environment: dict[str, str], file: Path) -> None:
    """For the shell of whoever wants to say `flask saga …`; the key in it is nobody else's business."""
    file.touch(mode=0o600)
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))


def _migrate() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "workers.agency", "saga", "migrate"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CannotBegin(f"flask saga migrate failed:\n{done.stdout}{done.stderr}")


@contextmanager
def _server(app: Flask, port: int) -> Iterator[BaseWSGIServer]:
    """With a thread for each request."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # not a line for each look at a page
    server = make_server(HOST, port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="web")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _announce(options: Options, server: BaseWSGIServer, broker: Broker, folder: Path, password: str | None) -> None:
    url = f"http://{HOST}:{server.server_port}/"
    if options.json:
        staff = {"agent": AGENT, "trainee": TRAINEE, "password": password}
        print(json.dumps({"url": url, "broker": broker.url, "folder": str(folder), **staff}), flush=True)
        return
    login = f"the password is {password}" if password else "with the password of the first time"
    print(f"Its sagas: . {folder / ENVIRONMENT}; flask --app workers.agency saga list")
    print(f"Staff: {AGENT} decides, {TRAINEE} looks; {login}")
    print(f"The travel agency is open: {url}  (Ctrl-C ends it)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
