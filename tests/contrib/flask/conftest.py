"""A Flask app after Flask's own documentation on Celery, with Flask-SQLAlchemy and a saga whose steps nobody runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery, Task
from celery.canvas import Signature
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from saga_celery import Saga, SagaApp, step
from saga_celery.contrib.flask import SagaCelery
from saga_celery.definition import desk, registry
from saga_celery.store.migrate import migrate


def celery_init_app(app: Flask) -> Celery:
    """As Flask's documentation has it, but for the current app, which belongs to the whole test process."""

    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask, set_as_current=False)
    celery_app.config_from_object(app.config["CELERY"])
    app.extensions["celery"] = celery_app
    return celery_app


@dataclass
class Shop:
    """The app, and what its sagas were nudged for."""

    app: Flask
    db: SQLAlchemy
    purchase: Any
    saga: type[Saga[str, None]]
    sagas: SagaApp
    nudged: list[str] = field(default_factory=list)

    def buy(self, name: str) -> str:
        """A purchase and its saga, in the session of whoever has an app context; not committed."""
        self.db.session.add(self.purchase(name=name))
        self.db.session.flush()
        return self.saga.start(name, key=name, session=self.db.session).id

    def purchases(self) -> list[str]:
        """What is committed."""
        return self._names(sa.text("SELECT name FROM purchase ORDER BY name"))

    def started(self) -> list[str]:
        """The keys of the sagas that are committed."""
        return self._names(sa.text("SELECT saga_key.key FROM saga_key JOIN saga ON saga.id = saga_id ORDER BY 1"))

    def _names(self, query: sa.TextClause) -> list[str]:
        with self.sagas.store.connections.autocommit() as connection:
            if connection.dialect.name == "mysql":
                query = sa.text(query.text.replace("saga_key.key", "saga_key.`key`"))
            return [name for (name,) in connection.execute(query)]


MakeShop = Callable[..., Shop]


def begin_at_once(engine: sa.Engine) -> None:
    """SQLAlchemy's recipe for SQLite, as docs/flask.md has it: its driver alone takes savepoints for transactions."""

    @sa.event.listens_for(engine, "connect")
    def leave_it_to_us(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])


@pytest.fixture
def make_shop(own_registry: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeShop]:
    made: list[Shop] = []

    def make(url: str, *, broker: str = "memory://", nudges: bool = False) -> Shop:
        """A shop whose nudges are noted, or sent where the broker itself is what the test is about."""

        class Base(DeclarativeBase):
            pass

        db, app = SQLAlchemy(model_class=Base, disable_autonaming=True), Flask("shop")

        class Purchase(db.Model):  # type: ignore[name-defined,misc]
            __tablename__ = "purchase"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(sa.String(40))

        class ErrandSaga(Saga[str, None]):
            name = "shop.errand"

            @step(no_compensation="nothing happens")
            def run(self, name: str) -> Signature[None]:
                return self.task("shop.run", name)

        app.config.update(SQLALCHEMY_DATABASE_URI=url, CELERY={"broker_url": broker})
        db.init_app(app)
        celery_init_app(app)
        SagaCelery(app)
        shop = Shop(app, db, Purchase, ErrandSaga, app.extensions["saga_celery"])
        if not nudges:
            note = lambda ids, priority=None: shop.nudged.extend(ids)  # noqa: E731
            monkeypatch.setattr(shop.sagas.transport, "nudge", note)
        migrate(shop.sagas.store.connections)
        with app.app_context():
            db.create_all()
        made.append(shop)
        return shop

    yield make
    for shop in made:
        with shop.app.app_context():
            for engine in shop.db.engines.values():
                engine.dispose()
        shop.sagas.dispose()


@pytest.fixture
def shop(make_shop: MakeShop, database_url: str) -> Shop:
    """On every database that this run covers, with savepoints that are ones."""
    shop = make_shop(database_url)
    with shop.app.app_context():
        if shop.db.engine.dialect.name == "sqlite":
            shop.db.engine.dispose()
            begin_at_once(shop.db.engine)
    return shop
