"""Sets of sagas that other tables than their own tell: those with a tag, those that are stuck."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.store.schema import saga_tag

Ids: TypeAlias = "sa.Select[Any] | sa.CompoundSelect[Any]"
"""A query of one column, `saga_id`, which may name a saga twice."""
Condition = ColumnElement[bool]

FEW = 2000
"""Sagas that are so few that all of them can be read to sort them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdSet:
    """The ids of some sagas, to be read as a whole or asked for one saga."""

    ids: Ids
    holds: Callable[[ColumnElement[str]], Condition]
    """Whether it holds an id, asked row by row."""

    def has(self, saga_id: ColumnElement[str]) -> Condition:
        """Whether it holds an id; how that is found out is left to the database."""
        return saga_id.in_(sa.select(self.ids.subquery()))


def tagged(name: str, value: str) -> IdSet:
    """The sagas that have a tag."""
    t = saga_tag.c

    def holds(saga_id: ColumnElement[str]) -> Condition:
        its_value = sa.select(t.value).where(t.saga_id == saga_id, t.name == name).scalar_subquery()
        return its_value == value

    return IdSet(ids=sa.select(t.saga_id).where(t.name == name, t.value == value), holds=holds)


def any_of(*queries: sa.Select[Any]) -> IdSet:
    """The sagas that one of several queries finds, each by its own index; an OR of them would read every saga."""
    ids = sa.union_all(*queries)
    return IdSet(ids=ids, holds=lambda saga_id: saga_id.in_(sa.select(ids.subquery())))


def read_first(few: IdSet, others: Sequence[IdSet], columns: Sequence[Any], *wanted: Condition) -> sa.CTE:
    """The rows of a set that is known to be small, of those that fit; it is read first, whatever the planner thinks.

    Statistics know each column by itself. How many sagas have a tag of this name and this value, or how far back one
    has to walk to find them, a planner guesses; where it guesses wrong, it reads every saga.

    Args:
        few: the set.
        others: the sets that have to hold it as well.
        columns: of the table `saga`, its id among them.
        wanted: what a row has to be.
    """
    saga_id = columns[0].table.c.id
    most = 2 * FEW  # keeps the planner from reading all sagas; some may have come since the set was found to be small
    ids = sa.select(few.ids.subquery()).distinct().limit(most).subquery("few")
    rows = (
        sa.select(*columns)
        .join(ids, ids.c.saga_id == saga_id)
        .where(*wanted, *(each.holds(saga_id) for each in others))
    )
    return rows.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
