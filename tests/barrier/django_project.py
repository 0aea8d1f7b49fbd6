"""A Django project with one model, whose database is a participant's. Its connections are Django's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections, models

from saga_celery.app.barrier import barrier
from saga_celery.store.barrier.passage import Passage
from tests.barrier.participant import Participant
from tests.django_process import configured, database_settings, databases


class Project:
    """What a test does by means of Django.

    Attributes:
        participant: looks into the same database without Django.
        effect: the model.
    """

    def __init__(self, participant: Participant, effect: type[models.Model]) -> None:
        self.participant = participant
        self.effect: Any = effect
        self.connection: Any = connection

    def deliver(self, passage: Passage | None, work: Callable[[], Any], **options: Any) -> Any:
        return barrier(self.connection, delivery=passage, **options).run(work)

    def in_thread(self, passage: Passage, work: Callable[[], Any]) -> Any:
        """`deliver` for a thread of its own: whose connection nobody else could close."""
        try:
            return self.deliver(passage, work)
        finally:
            connections.close_all()

    def write(self, what: str = "booked", result: Any = None, *, error: BaseException | None = None) -> Any:
        """Work that leaves a mark."""

        def work() -> Any:
            self.effect.objects.create(what=what)
            if error is not None:
                raise error
            return result

        return work

    def connection_is_cut(self) -> None:
        """Let the server end this thread's connection."""
        postgresql = self.participant.dialect == "postgresql"
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()" if postgresql else "SELECT connection_id()")
            (number,) = cursor.fetchone()
        cut = "SELECT pg_terminate_backend({}, 60000)" if postgresql else "KILL {}"
        with self.participant.engine.connect() as other:
            other.exec_driver_sql(cut.format(number))


@contextmanager
def project_on(url: str, participant: Participant) -> Iterator[Project]:
    """A project whose `default` database is this one, as long as the block lasts."""
    effect = configured()
    with databases(default=database_settings(url)):
        yield Project(participant, effect)
