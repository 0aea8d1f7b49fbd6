"""The barrier's table in a service's own database: made, brought up, and looked at by one command."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from celery import Celery
from click.testing import CliRunner, Result

from saga_celery.app.barrier import barrier
from saga_celery.cli import saga
from saga_celery.contrib.commands import Host
from saga_celery.core.states import Slot
from saga_celery.errors import SchemaOutOfDate
from saga_celery.store.barrier.migration import check_barrier, migrate_barrier
from saga_celery.store.barrier.passage import Passage
from saga_celery.store.barrier.table import barrier_metadata, saga_barrier
from saga_celery.store.connections import Connections

PASSAGE = Passage(saga_id="order-7", slot=Slot("charge"))


@pytest.fixture
def service(database_url: str) -> Iterator[Connections]:
    """The database of a service that has never heard of the saga database."""
    connections = Connections(database_url, chance=lambda: 0.5)
    yield connections
    connections.dispose()


def run(*arguments: str, **environment: str) -> Result:
    """The command, under an app that has no sagas of its own."""
    app = Celery("payments", broker="memory://", set_as_current=False)
    return CliRunner().invoke(saga, ["migrate", "--barrier", *arguments], obj=Host(app=app), env=environment)


def url_of(service: Connections) -> str:
    return service.url.render_as_string(hide_password=False)


def do(service: Connections, *statements: str) -> None:
    with service.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def differences(service: Connections) -> list[object]:
    with service.engine.connect() as connection:
        tables = {"include_name": lambda name, kind, _: kind != "table" or name == saga_barrier.name}
        return list(compare_metadata(MigrationContext.configure(connection, opts=tables), barrier_metadata))


def cross(service: Connections) -> object:
    engine = sa.create_engine(service.url)
    try:
        with engine.connect() as connection:
            return barrier(connection, delivery=PASSAGE).run(lambda: "charged")
    finally:
        engine.dispose()


def test_the_command_makes_the_table_once_and_nothing_else(service: Connections) -> None:
    url = url_of(service)
    assert run("--database", url, "--check").exit_code == 3
    assert run("--database", url).stdout.endswith("now\n")
    assert run("--database", url).stdout.endswith("already\n")
    assert run("--database", url, "--check").exit_code == 0
    assert sa.inspect(service.engine).get_table_names() == ["saga_barrier"]
    assert differences(service) == []
    assert (cross(service), cross(service)) == ("charged", "charged")


def test_a_table_of_an_older_make_is_brought_up_and_keeps_its_rows(service: Connections) -> None:
    migrate_barrier(service)
    cross(service)
    (index,) = saga_barrier.indexes
    on = " ON saga_barrier" if service.dialect == "mysql" else ""
    do(
        service,
        f"DROP INDEX {index.name}{on}",
        "ALTER TABLE saga_barrier DROP COLUMN not_after",
        "ALTER TABLE saga_barrier DROP COLUMN barred_attempts",
        "ALTER TABLE saga_barrier ADD COLUMN of_tomorrow INTEGER",
    )
    with pytest.raises(
        SchemaOutOfDate, match=rf"lacks barred_attempts, not_after, {index.name}.*saga migrate --barrier"
    ):
        check_barrier(service)
    with pytest.raises(SchemaOutOfDate, match="saga migrate --barrier"):
        cross(service)

    assert migrate_barrier(service)
    check_barrier(service)
    do(service, "ALTER TABLE saga_barrier DROP COLUMN of_tomorrow")
    assert differences(service) == []
    assert cross(service) == "charged"


def test_somebody_elses_table_is_left_alone(service: Connections) -> None:
    do(service, "CREATE TABLE saga_barrier (id INTEGER PRIMARY KEY, result TEXT)")
    for arguments in ([], ["--check"]):
        result = run("--database", url_of(service), *arguments)
        assert result.exit_code == 3
        assert "of another make" in result.stderr


def test_the_command_may_run_many_times_at_once(service: Connections) -> None:
    rivals = [Connections(service.url, chance=lambda: 0.5) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(migrate_barrier, rivals)) == [False, False, False, True]
    for rival in rivals:
        rival.dispose()


def test_the_statements_can_be_run_by_hand(service: Connections) -> None:
    printed = run("--database", url_of(service), "--sql").stdout
    assert sa.inspect(service.engine).get_table_names() == []
    do(service, *(statement for statement in printed.split(";\n") if statement.strip()))
    assert differences(service) == []


def test_a_barrier_without_its_table_says_what_to_run(service: Connections) -> None:
    with pytest.raises(SchemaOutOfDate, match="saga migrate --barrier --database"):
        cross(service)


def test_the_url_may_come_from_the_environment(sqlite_url: str) -> None:
    assert run(SAGA_BARRIER_DATABASE_URL=sqlite_url).exit_code == 0
    assert run("--check", SAGA_BARRIER_DATABASE_URL=sqlite_url).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "add --database URL"),
        (["--database", "payments"], "it is no URL"),
        (["--database", "postgresql://h:port/x"], "it is no URL"),
        (["--database", "db3://h/x"], "knows no such database"),
        (["--database", "mssql+pymssql://h/x"], "its driver is not installed"),
        (["--database", "sqlite://", "--sql", "--check"], "exclude each other"),
    ],
)
def test_what_is_mistyped(arguments: list[str], complaint: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr.replace("\n", " ")


def test_database_alone_is_refused() -> None:
    host = Host(app=Celery("payments", broker="memory://", set_as_current=False))
    result = CliRunner().invoke(saga, ["migrate", "--database", "sqlite://"], obj=host)
    assert result.exit_code == 2
    assert "goes with --barrier" in result.stderr


def test_a_database_that_does_not_answer() -> None:
    result = run("--database", "postgresql+psycopg://nobody@127.0.0.1:1/x?connect_timeout=2")
    assert result.exit_code == 69
