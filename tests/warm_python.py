"""A Python that has imported already what every command of ours imports, and forks itself for each of them.

Tests run hundreds of short commands (`celery -A shop saga list`, a script that starts an order). Nearly all the time
that such a process takes is the import of Celery, SQLAlchemy and the like, which is the same each time; a fork has it
done. All else is as in a process of its own: folder, environment, path, streams, exit code, and no module of a test or
a page is there before the command imports it. Workers are started without this, and so are the README's commands.

This file is both ends, besides what tests use: as a program with one argument it is the server, with more the client.
"""

import array
import json
import os
import socket
import sys

IMPORTED = (
    "celery.bin.celery",  # with it the commands of its plug-ins, ours among them
    "celery.contrib.testing.worker",
    "fastapi.testclient",
    "flask_migrate",
    "flask_sqlalchemy",
    "kombu.transport.redis",
    "saga_celery",
    "saga_celery.cli",
    "saga_celery.store.migrate",
    "saga_celery.testing",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.ext.asyncio",
    "workers.catalogue",
)
STREAMS = (0, 1, 2)


def serve(address: str) -> list[str]:
    """Fork for each command that comes, and return in the fork, with what shall be run."""
    import gc
    import importlib
    import signal
    import threading

    base = [entry for entry in sys.path[1:] if entry not in _python_path()]
    for name in IMPORTED:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a fork would lack these threads: " + str(threading.enumerate())
    gc.collect()
    gc.freeze()  # so that the forks go on sharing it
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    os.rename(f"{address}.new", address)  # noqa: PTH104 - who sees it may connect
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the minders
    while True:
        client, _ = listener.accept()
        if os.fork():
            client.close()
            continue
        listener.close()
        request, streams = _receive(client)
        ended, ends = socket.socketpair()
        ends.setblocking(False)
        signal.set_wakeup_fd(ends.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        if command := os.fork():
            _mind(command, client, ended)
            os._exit(0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (client, ended, ends):
            each.close()
        return _become(request, streams, base)


def _mind(command: int, client: socket.socket, ended: socket.socket) -> None:
    """Tell the client how its command ended; where the client is killed, end the command."""
    import select
    import signal

    ready, _, _ = select.select([client, ended], [], [])
    if ended not in ready:
        os.kill(command, signal.SIGTERM)
    _, status = os.waitpid(command, 0)
    if client not in ready:
        client.sendall(b"%d" % os.waitstatus_to_exitcode(status))


def ask(address: str, arguments: list[str]) -> int:
    """Have a command run with our streams, folder and environment; its exit code."""
    folder = os.getcwd()  # noqa: PTH109 - the client has no time for pathlib
    request = json.dumps({"arguments": arguments, "folder": folder, "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        server.sendmsg([b"%10d" % len(request)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", STREAMS))])
        server.sendall(request)
        return int(server.recv(16))


def _receive(client: socket.socket) -> tuple[dict, list[int]]:
    size, streams, _, _ = socket.recv_fds(client, 10, len(STREAMS))
    request = b""
    while len(request) < int(size):
        request += client.recv(int(size) - len(request))
    return json.loads(request), streams


def _become(request: dict, streams: list[int], base: list[str]) -> list[str]:
    """Take over what makes up the process of who asked."""
    for stream, ours in zip(streams, STREAMS, strict=True):
        os.dup2(stream, ours)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[:] = ["", *_python_path(), *base]
    return request["arguments"]


def _python_path() -> list[str]:
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]


def run(arguments: list[str]) -> None:
    """What the interpreter does with its arguments: `-m module …`, `-c code …` or `file …`."""
    import runpy
    import types

    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    if arguments[0] == "-c":
        sys.argv, code, name = ["-c", *arguments[2:]], arguments[1], "<string>"
    else:
        sys.argv, name = arguments, arguments[0]
        sys.path[0] = os.path.dirname(os.path.abspath(name))  # noqa: PTH100, PTH120 - as the interpreter does
        with open(name) as file:  # noqa: PTH123 - the same
            code = file.read()
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=name, __builtins__=__builtins__)
    sys.modules["__main__"] = main
    exec(compile(code, name, "exec"), main.__dict__)  # noqa: S102 - that is what a Python is for


if __name__ == "__main__":
    if len(sys.argv) == 2:
        run(serve(sys.argv[1]))
    else:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
