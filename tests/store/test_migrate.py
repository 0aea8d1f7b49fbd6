"""The tables are made by the migrations, and fit the release that uses them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from saga_celery.core.states import Reason, SagaStatus
from saga_celery.errors import SchemaOutOfDate
from saga_celery.store.migrate import _script, migrate, sql
from saga_celery.store.schema import metadata
from saga_celery.store.version import VERSION_TABLE, check, head, known, pending
from tests.store.examples import alembic, letter, moved, new, started


@pytest.fixture
def database_url(empty_url):
    return empty_url


@pytest.fixture
def store(another):
    """A store whose tables have been made for this test."""
    made = another()
    migrate(made.connections)
    return made


def set_version(store, version):
    with store.connections.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")


def test_migrations_make_exactly_the_tables_that_the_store_uses(store):
    with store.connections.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_letters_get_their_generations_and_the_oldest_of_each_activity_stays_on_the_way_back(another, store):
    late = letter(reason=Reason.LATE_EFFECT, detail="the first copy")
    moved(store, started(store), letters=(late, letter(generation=2)), status=SagaStatus.FAILED)
    alembic(store, "downgrade", "0006")
    inspector = sa.inspect(store.connections.engine)
    assert "generation" not in {column["name"] for column in inspector.get_columns("saga_dead_letter")}
    alembic(store, "upgrade", "head")
    check(store.connections)
    assert another().load("s1").letters == (late,)


def test_the_tables_of_others_are_left_alone(another):
    made = another()
    with made.connections.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num varchar(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('theirs')")
    migrate(made.connections)
    with made.connections.autocommit() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "theirs"


def test_tables_that_fit_pass_the_check_and_are_not_made_twice(store):
    started(store)
    assert not pending(store.connections)
    migrate(store.connections)
    check(store.connections)
    assert store.load("s1") is not None


def test_missing_tables_are_named_with_the_command(another):
    made = another()
    assert pending(made.connections)
    with pytest.raises(SchemaOutOfDate, match=r"no tables.*saga migrate"):
        check(made.connections)
    with pytest.raises(SchemaOutOfDate, match="saga migrate"):
        made.load("s1")
    with pytest.raises(SchemaOutOfDate, match="saga migrate"):
        made.start([new("s1")], nudge_after=1.0)
    with pytest.raises(SchemaOutOfDate, match="saga migrate"):
        made.overdue(1, 1.0)


def test_tables_of_a_newer_release_are_refused(store):
    set_version(store, "9999")
    with pytest.raises(SchemaOutOfDate, match=r"9999.*upgrade saga_celery"):
        check(store.connections)
    with pytest.raises(SchemaOutOfDate, match="9999"):
        migrate(store.connections)


def test_older_tables_are_named_with_the_command(store, monkeypatch):
    found = head()
    monkeypatch.setattr("saga_celery.store.version.head", lambda: "9998")
    with pytest.raises(SchemaOutOfDate, match=rf"at version {found}, this release needs 9998.*saga migrate"):
        check(store.connections)
    assert pending(store.connections)


def test_migrations_at_the_same_time_take_turns(another):
    made = [another() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: migrate(one.connections), made))
    check(made[0].connections)


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "sqlite"])
def test_the_statements_can_be_printed(dialect):
    text = sql(dialect)
    assert "CREATE TABLE saga_awaited" in text
    *_, written = [line for line in text.splitlines() if VERSION_TABLE in line]
    assert f"'{head()}'" in written


def test_printed_statements_make_the_same_tables(another):
    made = another()
    text = sql(made.connections.dialect)
    with made.connections.engine.connect() as connection:
        for statement in text.split(";\n"):
            words = "\n".join(line for line in statement.splitlines() if not line.startswith("--")).strip()
            if words and words not in ("BEGIN", "COMMIT"):
                connection.exec_driver_sql(words.replace("%", "%%"))
        connection.commit()
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    check(made.connections)


def test_keys_differ_by_their_letters(store):
    """MariaDB's default collations take `K` for `k`, and `ß` for `ss`."""
    names = ["k", "K", "ß", "ss"]
    found = store.start([new(f"s{n}", key=name) for n, name in enumerate(names)], nudge_after=1.0)
    assert [one.created for one in found] == [True] * len(names)
    assert sa.inspect(store.connections.engine).has_table("saga_key")


def test_the_versions_are_those_of_the_migrations_in_their_order():
    assert [step.revision for step in reversed([*_script().walk_revisions()])] == [*known()]


def test_only_migrating_imports_alembic():
    """Each worker, web process and command would pay for it."""
    asked = "import sys, saga_celery, saga_celery.cli; print([name for name in sys.modules if 'alembic' in name])"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "[]\n"
