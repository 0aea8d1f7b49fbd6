"""A lent database is as good as a new one."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from saga_celery.store.schema import saga_plan
from tests.conftest import DATABASES, FIXTURES
from tests.lending import Lending

SERVERS = [name for name in ("postgresql", "mariadb") if DATABASES[name].available]


@pytest.fixture(params=SERVERS)
def lending(request: pytest.FixtureRequest) -> Iterator[Lending]:
    server = request.getfixturevalue(FIXTURES[request.param].replace("_url", "_server"))
    lending = Lending(server)
    yield lending
    lending.close()


def write(connection: sa.Connection, statement: str = "INSERT INTO saga_plan (hash, body) VALUES ('h', 'b')") -> None:
    connection.exec_driver_sql(statement)


def test_the_next_one_gets_it_without_rows_though_somebody_still_holds_a_lock(lending: Lending) -> None:
    with lending.one() as first:
        engine = sa.create_engine(first, poolclass=sa.NullPool)
        with engine.begin() as connection:
            write(connection)
        left = engine.connect()
        write(left, "DELETE FROM saga_plan")
    with lending.one() as second:
        assert second == first
        with engine.connect() as connection:
            assert connection.execute(sa.select(saga_plan)).all() == []
        with pytest.raises(sa.exc.DBAPIError):
            write(left)
    left.invalidate()
    left.close()


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE more (id integer)", "DROP TABLE saga_tag", "UPDATE saga_schema_version SET version_num = 1"],
)
def test_one_whose_tables_were_changed_is_dropped(lending: Lending, statement: str) -> None:
    with lending.one() as first:
        engine = sa.create_engine(first, poolclass=sa.NullPool)
        with engine.begin() as connection:
            write(connection, statement)
    with lending.one() as second:
        assert second != first
    with pytest.raises(sa.exc.OperationalError), engine.connect():
        pass
