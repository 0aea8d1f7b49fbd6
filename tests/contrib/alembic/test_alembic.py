"""An app that migrates its database with Alembic, sagas beside its own tables."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from saga_celery.contrib.alembic import add_branch, include_object
from saga_celery.contrib.alembic.branch import VERSIONS
from saga_celery.contrib.alembic.filter import TABLES
from saga_celery.errors import SchemaOutOfDate
from saga_celery.store.barrier import barrier_metadata
from saga_celery.store.barrier.migration import migrate_barrier
from saga_celery.store.connections import Connections
from saga_celery.store.migrate import _config, migrate
from saga_celery.store.schema import metadata
from saga_celery.store.version import check, head, pending

ENV = """
import sqlalchemy as sa
from alembic import context
from saga_celery.contrib.alembic import include_object

config = context.config
own = sa.MetaData()
sa.Table("purchase", own, sa.Column("id", sa.Integer, primary_key=True), sa.Index("purchase_by_id", "id"))
if context.is_offline_mode():
    context.configure(url=config.get_main_option("sqlalchemy.url"), target_metadata=own, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = sa.create_engine(config.get_main_option("sqlalchemy.url").replace("%%", "%"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=own, include_object=include_object)
        with context.begin_transaction():
            context.run_migrations()
"""


@pytest.fixture
def connections(database_url: str) -> Iterator[Connections]:
    connections = Connections(database_url, chance=lambda: 0.5)
    yield connections
    connections.dispose()


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Config:
    """A folder as `alembic init` makes it, with our branch."""
    folder = tmp_path / "50% migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    template = Path(command.__file__).parent / "templates" / "generic" / "script.py.mako"
    (folder / "script.py.mako").write_text(template.read_text())
    config = Config(stdout=io.StringIO(), output_buffer=io.StringIO())
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return add_branch(config)


def differences(connections: Connections, own: sa.MetaData, **options: object) -> list[str]:
    """What autogenerate would do: `remove_table saga`."""
    with connections.autocommit() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), own)
    return sorted(f"{each[0]} {each[1].name}" for each in found)


class TestFilter:
    def test_autogenerate_takes_no_notice_of_our_tables(self, connections):
        migrate(connections)
        migrate_barrier(connections)
        dropped = {line.split()[1] for line in differences(connections, sa.MetaData()) if "remove_table" in line}
        assert dropped == TABLES
        assert differences(connections, sa.MetaData(), include_object=include_object) == []

    def test_it_still_drops_tables_of_the_app(self, connections):
        migrate(connections)
        with connections.transaction() as connection:
            connection.execute(sa.text("CREATE TABLE purchase (id INTEGER PRIMARY KEY)"))
        assert differences(connections, sa.MetaData(), include_object=include_object) == ["remove_table purchase"]

    def test_tables_that_the_app_describes_itself_are_compared(self, connections):
        assert "add_table saga_barrier" in differences(connections, barrier_metadata, include_object=include_object)
        migrate(connections)
        own = sa.MetaData()
        metadata.tables["saga"].to_metadata(own)
        own.tables["saga"].append_column(sa.Column("colour", sa.String(9)))
        found = differences_of_columns(connections, own)
        assert found == ["add_column"]

    def test_a_table_of_the_same_name_in_another_schema_is_not_ours(self):
        theirs = sa.Table("saga", sa.MetaData(), schema="theirs")
        assert include_object(theirs, "saga", "table", True, None)


def differences_of_columns(connections: Connections, own: sa.MetaData) -> list[str]:
    with connections.autocommit() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": include_object})
        return [each[0] for each in compare_metadata(context, own)]


class TestBranch:
    def test_upgrade_heads_makes_the_tables_as_saga_migrate_does(self, project, connections):
        command.upgrade(project, "heads")
        check(connections)
        assert not pending(connections)
        migrate(connections)  # finds nothing to do
        with connections.autocommit() as connection:
            made = MigrationContext.configure(connection, opts={"version_table": "saga_schema_version"})
            assert made.get_current_heads() == (head(),)
        assert differences(connections, metadata, include_object=lambda *args: args[1] not in OTHERS) == []

    def test_the_app_goes_on_with_a_history_of_its_own(self, project, connections):
        command.upgrade(project, "heads")
        own = project.get_version_locations_list()[0]
        command.revision(
            project, "purchases", autogenerate=True, head="base", branch_label="shop", version_path=own, rev_id="one"
        )
        (written,) = Path(own).glob("one_*.py")
        assert "create_table('purchase'" in written.read_text()
        assert "drop_table('saga" not in written.read_text()
        command.upgrade(project, "heads")
        command.revision(project, "nothing", autogenerate=True, head="shop@head", rev_id="two")
        (empty,) = Path(own).glob("two_*.py")
        assert empty.read_text().count("pass\n") == 2
        check(connections)

    def test_tables_that_are_there_already_stay(self, project, connections):
        migrate(connections)
        with connections.transaction() as connection:
            connection.execute(sa.text("INSERT INTO saga_gate VALUES (4711)"))
        command.upgrade(project, "heads")
        with connections.autocommit() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM saga_gate WHERE number = 4711")).scalar() == 1
        check(connections)

    def test_tables_of_an_earlier_release_are_brought_forward(self, project, connections):
        migrate(connections)
        with connections.transaction() as connection:
            command.downgrade(_config(connection=connection), "0005")
        command.upgrade(project, "heads")
        check(connections)
        assert sa.inspect(connections.engine).has_table("saga_payload")

    def test_tables_of_a_later_release_are_refused(self, project, connections):
        migrate(connections)
        with connections.transaction() as connection:
            connection.execute(sa.text("UPDATE saga_schema_version SET version_num = '9999'"))
        with pytest.raises(SchemaOutOfDate, match="upgrade saga_celery on this machine"):
            command.upgrade(project, "heads")

    def test_downgrade_takes_them_away(self, project, connections):
        command.upgrade(project, "heads")
        command.downgrade(project, "saga_celery@base")
        assert TABLES.isdisjoint(sa.inspect(connections.engine).get_table_names())
        command.upgrade(project, "heads")
        check(connections)

    def test_the_statements_can_be_written_down(self, project):
        command.upgrade(project, "heads", sql=True)
        written = project.output_buffer.getvalue()
        assert "CREATE TABLE saga_payload" in written
        assert f"INSERT INTO saga_schema_version (version_num) VALUES ('{head()}')" in written

    def test_an_ini_file_names_the_branch_as_a_package(self, tmp_path):
        (tmp_path / "versions").mkdir()
        (tmp_path / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s\npath_separator = newline\n"
            "version_locations =\n    %(here)s/versions\n    saga_celery.contrib.alembic:versions\n"
        )
        found = ScriptDirectory.from_config(Config(tmp_path / "alembic.ini"))
        assert found.get_heads() == [f"saga_celery_{head()}"]

    def test_a_release_with_new_tables_has_a_revision_of_the_branch(self):
        config = Config()
        config.set_main_option("script_location", str(VERSIONS.parent))
        config.set_main_option("path_separator", "os")
        assert ScriptDirectory.from_config(config).get_heads() == [f"saga_celery_{head()}"], (
            f"add contrib/alembic/versions/saga_celery_{head()}.py, which follows the one before"
        )


OTHERS = ("alembic_version", "saga_schema_version")
