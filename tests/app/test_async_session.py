"""SQLAlchemy's `AsyncSession`: `await session.run_sync(lambda s: OrderSaga.start(…, session=s))`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from saga_celery import InputRejected
from tests.app.conftest import Errands

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
PURCHASES = sa.Table("purchase", sa.MetaData(), sa.Column("name", sa.String(40), primary_key=True))


@dataclass
class Shop:
    errands: Errands
    url: sa.URL
    nudged: list[str] = field(default_factory=list)

    def run(self, request: Any) -> Any:
        """What a request does, with an engine that lives as long as its event loop."""

        async def whole() -> Any:
            engine = create_async_engine(self.url, pool_size=4, pool_timeout=60)
            if self.url.get_backend_name() == "sqlite":
                _begin_at_once(engine.sync_engine)
            try:
                return await request(lambda: AsyncSession(engine, expire_on_commit=False))
            finally:
                await engine.dispose()

        return asyncio.run(whole())

    async def buy(self, session: AsyncSession, name: str) -> str:
        await session.execute(PURCHASES.insert().values(name=name))
        handle = await session.run_sync(lambda s: self.errands.saga.start(1, key=name, session=s))
        return handle.id

    def purchases(self) -> list[str]:
        return self._all(sa.select(PURCHASES.c.name).order_by(PURCHASES.c.name))

    def started(self) -> list[str]:
        return self._all(sa.text("SELECT saga_key.key FROM saga_key JOIN saga ON saga.id = saga_id ORDER BY 1"))

    def _all(self, query: Any) -> list[str]:
        with self.errands.sagas.store.connections.autocommit() as connection:
            return [name for (name,) in connection.execute(query)]


def _begin_at_once(engine: sa.Engine) -> None:
    """SQLAlchemy's recipe for savepoints on SQLite."""

    @sa.event.listens_for(engine, "connect")
    def leave_it_to_us(connection: Any, record: object) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def shop(errands: Errands, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Shop:
    url = sa.make_url(database_url)
    shop = Shop(errands, url.set(drivername=DRIVERS[url.get_backend_name()]))
    monkeypatch.setattr(errands.sagas.transport, "nudge", lambda ids, priority=None: shop.nudged.extend(ids))
    with errands.sagas.store.connections.transaction() as connection:
        PURCHASES.create(connection)
    return shop


def test_a_commit_keeps_both_and_nudges_once(shop):
    async def request(session):
        async with session() as db:
            saga_id = await shop.buy(db, "tea")
            assert shop.nudged == []
            await db.commit()
            return saga_id

    saga_id = shop.run(request)
    assert shop.purchases() == shop.started() == ["tea"]
    assert shop.nudged == [saga_id]


def test_a_rollback_and_a_session_left_without_a_commit_keep_nothing(shop):
    async def request(session):
        async with session() as db:
            await shop.buy(db, "rolled back")
            await db.rollback()
            await shop.buy(db, "left")

    shop.run(request)
    assert shop.purchases() == shop.started() == shop.nudged == []


def test_savepoints_count(shop):
    async def request(session):
        async with session() as db:
            async with db.begin_nested():
                await shop.buy(db, "released")
            inner = await db.begin_nested()
            await shop.buy(db, "dropped")
            await inner.rollback()
            assert shop.nudged == []
            await db.commit()

    shop.run(request)
    assert shop.purchases() == shop.started() == ["released"]


def test_requests_side_by_side_keep_exactly_what_they_commit(shop):
    async def request(session):
        async def one(number):
            async with session() as db:
                await db.execute(sa.select(sa.func.count()).select_from(PURCHASES))
                await shop.buy(db, f"{number:02}")
                await (db.rollback() if number % 10 < 3 else db.commit())

        await asyncio.gather(*map(one, range(40)))

    shop.run(request)
    assert shop.purchases() == shop.started() == [f"{number:02}" for number in range(40) if number % 10 >= 3]
    assert len(shop.nudged) == 28


def test_an_asynchronous_session_itself_is_refused_with_the_way_to_write_it(shop):
    async def request(session):
        async with session() as db:
            shop.errands.saga.start(1, session=db)

    with pytest.raises(InputRejected, match=r"await session\.run_sync\(lambda s: YourSaga\.start\(…, session=s\)\)"):
        shop.run(request)
