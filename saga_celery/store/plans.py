"""The graphs that sagas are pinned to: written once, never changed, kept in memory once read."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from saga_celery.core.plan import Plan
from saga_celery.errors import StoreError
from saga_celery.store.connections import Connections
from saga_celery.store.schema import saga_plan
from saga_celery.store.upsert import insert_if_absent


class Plans:
    """Plans by their hashes.

    Args:
        connections: the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._committed: dict[str, Plan] = {}

    def plan(self, plan_hash: str) -> Plan:
        """Read a pinned plan.

        Raises:
            StoreError: there is none of this hash.
        """
        found = self._committed.get(plan_hash)
        if found is None:
            found = self._committed[plan_hash] = self._read(plan_hash)
        return found

    def missing(self, plans: Iterable[Plan]) -> list[Plan]:
        """Those plans that are not known to be committed, each once."""
        return list({plan.hash: plan for plan in plans if plan.hash not in self._committed}.values())

    def publish(self, plans: Iterable[Plan]) -> None:
        """Commit plans by a transaction of our own.

        Not in the transaction of whoever starts the first saga of a new plan: it may last, and everybody else who
        starts one would have to wait for its end. A plan without sagas, should it roll back, is in nobody's way. SQLite
        has only one writer at a time, so there the plans have to go along with their sagas.
        """
        missing = self.missing(plans)
        if not missing or self._connections.dialect == "sqlite":
            return
        rows = plan_rows(missing)
        self._connections.run(lambda connection: connection.execute(self.statement(), rows))
        self.remember(missing)

    def remember(self, plans: Iterable[Plan]) -> None:
        """Note that plans were committed."""
        self._committed.update({plan.hash: plan for plan in plans})

    def statement(self) -> sa.Insert:
        """Insert plans that are not there."""
        return insert_if_absent(self._connections.dialect, saga_plan)

    def _read(self, plan_hash: str) -> Plan:
        query = sa.select(saga_plan.c.body).where(saga_plan.c.hash == plan_hash)
        with self._connections.autocommit() as connection:
            body = connection.execute(query).scalar_one_or_none()
        if body is None:
            raise StoreError(f"the saga database holds no plan {plan_hash!r}: its row was deleted by hand")
        return Plan.from_json(body)


def plan_rows(plans: Iterable[Plan]) -> list[dict[str, str]]:
    """Rows of plans, always in the same order, so that two writers do not wait for each other."""
    return [{"hash": plan.hash, "body": plan.to_json()} for plan in sorted(plans, key=lambda plan: plan.hash)]
