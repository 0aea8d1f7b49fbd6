"""The embedded servers do what the other tests lean on, and leave nothing behind."""

import os
import secrets  # noqa: TID251 - other runs may use the same broker
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
import redis
import sqlalchemy as sa
from kombu import Connection

from tests import conftest, servers
from tests.servers import (
    Broker,
    DatabaseServer,
    EmbeddedPostgres,
    EmbeddedRedis,
    ServerDied,
    filesystem_broker,
    warm_python,
)

ROOT = Path(__file__).parent.parent

needs_redis = pytest.mark.skipif(
    not conftest.BROKERS["redis"].source.startswith("embedded"), reason="no Redis binary on this machine"
)
needs_embedded_postgres = pytest.mark.skipif(
    conftest.DATABASES["postgresql"].source != "embedded", reason="no embedded PostgreSQL in this run"
)


@pytest.fixture
def own_redis():
    server = EmbeddedRedis()
    yield server
    server.stop()


def ping(url: str) -> bool:
    with redis.Redis.from_url(url, retry=None) as client:
        return bool(client.ping())


def scalar(url: str, statement: str):
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar()


@needs_redis
def test_redis_answers_and_keeps_nothing_on_disk(own_redis):
    assert ping(own_redis.url)
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.config_get("save") == {"save": ""} or client.config_get("save") == {b"save": b""}
        assert client.config_get("bind") in ({"bind": "127.0.0.1"}, {b"bind": b"127.0.0.1"})


@needs_redis
def test_a_killed_redis_refuses_clients_and_comes_back_empty_on_the_same_port(own_redis):
    url, pid = own_redis.url, own_redis.pid
    with redis.Redis.from_url(url) as client:
        client.set("message", "in flight")

    own_redis.kill()
    assert not own_redis.running
    assert not psutil.pid_exists(pid)
    with pytest.raises(redis.exceptions.ConnectionError):
        ping(url)

    own_redis.restart()
    assert own_redis.url == url
    with redis.Redis.from_url(url) as client:
        assert client.get("message") is None


@needs_redis
def test_a_running_redis_can_be_restarted(own_redis):
    first = own_redis.pid
    own_redis.restart()
    assert own_redis.pid != first
    assert ping(own_redis.url)


@needs_redis
def test_a_stopped_redis_leaves_neither_process_nor_directory(own_redis):
    pid = own_redis.pid
    own_redis.stop()
    own_redis.stop()  # twice is fine
    assert not psutil.pid_exists(pid)
    assert not own_redis.directory.exists()


@needs_redis
def test_a_server_whose_port_is_taken_says_so_and_is_not_content_with_the_answer_of_another(own_redis):
    other = EmbeddedRedis()
    try:
        other.kill()
        other.port = own_redis.port
        with pytest.raises(ServerDied, match="ddress already in use"):
            other.restart()
    finally:
        other.stop()


@needs_redis
def test_the_session_redis_is_the_broker(redis_server, broker, broker_url):
    assert broker.url == redis_server.url
    assert broker_url is broker
    assert ping(broker.url)


@needs_embedded_postgres
def test_postgres_starts_and_stops_without_a_trace():
    server = EmbeddedPostgres()
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert scalar(server.url, "SHOW fsync") == "off"
    server.stop()
    _, alive = psutil.wait_procs(family, timeout=conftest.PATIENCE)
    assert alive == []
    assert not server.directory.exists()


@pytest.mark.parametrize("kind", ["EmbeddedRedis", "EmbeddedPostgres"])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a server's life to its parent's")
def test_a_server_dies_with_a_killed_test_run(kind):
    needed = conftest.BROKERS["redis"] if kind == "EmbeddedRedis" else conftest.DATABASES["postgresql"]
    if not needed.source.startswith("embedded"):
        pytest.skip(f"no {kind} in this run")
    script = f"""
        from tests.servers import {kind}
        server = {kind}()
        print(server.pid, server.directory, flush=True)
        input()
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        pid, directory = run.stdout.readline().split()
        family = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children(recursive=True)]
        run.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=conftest.PATIENCE)
    assert alive == []
    # Nobody was left to remove its directory; the next server of its kind does, in whichever test process.
    getattr(servers, kind)().stop()
    assert not Path(directory).exists()


def test_every_test_gets_an_empty_database_of_its_own(database_url):
    scalar_engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with scalar_engine.begin() as connection:
        assert sa.inspect(connection).get_table_names() == []
        connection.exec_driver_sql("CREATE TABLE mine (id INTEGER PRIMARY KEY)")
    assert scalar(database_url, "SELECT count(*) FROM mine") == 0


def test_a_database_is_dropped_though_a_client_is_connected(postgres_server):
    engine = sa.create_engine(postgres_server.url, poolclass=sa.NullPool)
    with postgres_server.database() as url:
        client = sa.create_engine(url, poolclass=sa.NullPool).connect()
    client.invalidate()
    client.close()
    with engine.connect() as connection:
        found = connection.execute(
            sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": sa.make_url(url).database}
        )
        assert found.first() is None


def test_a_database_can_be_copied_from_a_template(postgres_server):
    with postgres_server.database() as template:
        engine = sa.create_engine(template, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE ready AS SELECT 7 AS seven")
        with postgres_server.database(template=template) as copy:
            assert scalar(copy, "SELECT seven FROM ready") == 7


def test_a_database_that_is_not_ours_is_never_dropped():
    server = DatabaseServer(url="postgresql+psycopg://nobody@127.0.0.1:1/production")
    with pytest.raises(AssertionError, match="not one of ours"):
        server.drop(server.url)


def test_messages_pass_through_each_broker(each_broker, request):
    name = f"test_servers_{secrets.token_hex(8)}_{request.node.callspec.id}"
    options = dict(each_broker.transport_options)
    with Connection(each_broker.url, transport_options=options) as connection, connection.SimpleQueue(name) as queue:
        queue.put({"hello": "saga"})
        message = queue.get(timeout=60)
        assert message.payload == {"hello": "saga"}
        message.ack()
        queue.consumer.cancel()
        queue.queue.delete()


def test_the_filesystem_broker_is_polled_often(tmp_path):
    broker = filesystem_broker(tmp_path)
    assert isinstance(broker, Broker)
    assert broker.transport_options["polling_interval"] <= 0.02


def test_a_left_process_fails_the_run(tmp_path):
    """A run of its own, in which a test forgets its child and also an orphan whose parent is gone."""
    (tmp_path / "test_forgetful.py").write_text(
        textwrap.dedent("""
        import subprocess, sys

        def test_forgets():
            subprocess.run([sys.executable, "-c",
                "import subprocess; subprocess.Popen(['sleep', '61'], start_new_session=True)"], check=True)
        """)
    )
    (tmp_path / "conftest.py").write_text(
        "import tests.conftest\nfrom tests.conftest import no_process_left_behind\ntests.conftest.PATIENCE = 1.0\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout
    assert "left processes behind" in run.stdout
    assert "sleep 61" in run.stdout


def test_the_header_names_what_is_covered_and_what_is_not():
    databases, brokers, browsers, tools = conftest.pytest_report_header()
    assert databases.startswith("databases: sqlite (a file)")
    assert brokers.startswith("brokers: ")
    assert all(name in databases for name in ("postgresql", "mariadb"))
    assert all(name in brokers for name in ("redis", "rabbitmq"))
    assert "chromium" in browsers
    assert "promtool" in tools


class TestWarmPython:
    """Commands that it runs are as those of a process of their own."""

    @staticmethod
    def ask(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*warm_python(), *arguments], capture_output=True, text=True, timeout=60, **options)

    def test_streams_folder_environment_and_exit_code_are_those_of_who_asks(self, tmp_path: Path) -> None:
        (tmp_path / "here.py").write_text("WORD = 'from here'")
        (tmp_path / "code.py").write_text(
            "import atexit, here, os, sys\n"
            "atexit.register(print, 'at exit')\n"
            "print(__name__, here.WORD, sys.argv, os.environ['ASKED'], sys.stdin.read())\n"
            "sys.exit(7)\n"
        )
        environment = {"PATH": os.environ["PATH"], "ASKED": "a lot"}
        done = self.ask("code.py", "--fast", cwd=tmp_path, env=environment, input="typed")
        assert done.stdout == "__main__ from here ['code.py', '--fast'] a lot typed\nat exit\n"
        assert (done.returncode, done.stderr) == (7, "")

    def test_what_raises_ends_with_its_traceback_and_1(self) -> None:
        done = self.ask("-c", "1 / 0")
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")

    def test_a_module_runs_and_nothing_of_it_is_left_for_the_next_one(self) -> None:
        assert "usage: python -m json.tool" in self.ask("-m", "json.tool", "--help").stdout
        assert self.ask("-c", "import sys; print('json.tool' in sys.modules)").stdout == "False\n"

    def test_a_command_ends_with_who_asked_for_it(self) -> None:
        code = "import os, threading; print(os.getpid(), flush=True); threading.Event().wait()"
        asking = subprocess.Popen([*warm_python(), "-c", code], stdout=subprocess.PIPE, text=True)
        assert asking.stdout is not None
        command = psutil.Process(int(asking.stdout.readline()))
        asking.kill()
        asking.communicate()
        assert psutil.wait_procs([command], timeout=conftest.PATIENCE)[1] == []
