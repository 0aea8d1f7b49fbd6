"""What the desk refuses before it touches the database."""

import pytest
import sqlalchemy as sa
from celery import Celery

from saga_celery import SagaApp
from saga_celery.core.events import OperatorAsked, Verb
from saga_celery.definition import desk
from saga_celery.errors import NotConfigured, SagaNotFound, SagaUnfinished, SchemaOutOfDate
from saga_celery.store.migrate import migrate

CANCEL = OperatorAsked(verb=Verb.CANCEL, actor="ann", reason="wrong order")
ASKED = {
    "snapshot": lambda desk: desk.snapshot("s1"),
    "snapshot by key": lambda desk: desk.snapshot("k", "shop.order"),
    "history": lambda desk: desk.history("s1"),
    "wait": lambda desk: desk.wait("s1", 0),
    "operate": lambda desk: desk.operate("s1", CANCEL),
}
"""What is asked of a desk about a saga that is there already."""


@pytest.fixture
def sagas(sqlite_url, monkeypatch):
    """An app whose database has no tables yet."""
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.saga_database_url = sqlite_url
    sagas = SagaApp(app)
    yield sagas
    sagas.dispose()


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_missing_tables_are_refused_with_the_command_to_run(sagas, ask):
    with pytest.raises(
        SchemaOutOfDate, match=r"has no tables of saga_celery yet; run: celery -A <your app> saga migrate"
    ):
        ask(sagas.desk)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_tables_of_another_release_are_refused_though_they_could_be_read(sagas, ask):
    migrate(sagas.store.connections)
    with sagas.store.connections.transaction() as connection:
        connection.execute(sa.text("UPDATE saga_schema_version SET version_num = '9999'"))
    with pytest.raises(SchemaOutOfDate, match=r"at version 9999.*upgrade saga_celery"):
        ask(sagas.desk)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_the_tables_are_looked_at_once_in_a_process(sagas, ask, monkeypatch):
    migrate(sagas.store.connections)
    checks = []
    monkeypatch.setattr("saga_celery.app.saga_app.check", checks.append)
    for _ in range(3):
        with pytest.raises((SagaNotFound, SagaUnfinished)):
            ask(sagas.desk)
    assert len(checks) == 1


def test_eager_tasks_are_refused_with_the_tool_that_tests_want(sagas):
    sagas.celery.conf.task_always_eager = True
    with pytest.raises(NotConfigured, match=r"saga_celery\.testing\.run_inline"):
        sagas.desk.start([], if_exists="return", session=None, connection=None)
