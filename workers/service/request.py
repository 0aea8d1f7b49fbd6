"""Requests of a service: each is answered once per key, and every copy of it gets the same answer.

The row of a request commits together with its effect, in the service's own database. So a message that is delivered
twice, or sent again because its answer was lost, changes nothing the second time. A refusal is an answer too: a copy
that arrives when the shelves are full again must not succeed after the saga has already been told "no".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, Text, insert, select, update
from sqlalchemy.exc import IntegrityError

from workers.service.database import Contended, transact

Answer = TypeVar("Answer", bound=Mapping[str, object])

request = Table(
    "request",
    MetaData(),
    Column("key", String(190), primary_key=True),
    Column("action", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", Text),
    Column("refusal", String(64)),
)


class Refusal(Exception):
    """A business "no": the same for every copy of the request, so trying again is useless."""


class KeyReused(Exception):
    """The same key came with another action or other arguments: two requests were mistaken for one."""


def once(
    engine: Engine, key: str, action: str, arguments: Mapping[str, Any], effect: Callable[[Connection], Answer]
) -> Answer:
    """Answer the request `key`: by `effect` the first time, by the stored answer or refusal ever after."""
    fingerprint = _fingerprint(arguments)

    def answer(connection: Connection) -> Answer | Refusal:
        known = connection.execute(select(request).where(request.c.key == key)).first()
        if known is None:
            _claim(connection, key, action, fingerprint)
            return _settle(connection, key, effect)
        if (known.action, known.fingerprint) != (action, fingerprint):
            raise KeyReused(f"key {key!r} belongs to {known.action} with other arguments, not to this {action}")
        if known.refusal is None:
            return cast("Answer", json.loads(known.answer))
        return _kind_of_refusal(known.refusal)(json.loads(known.answer))

    outcome = transact(engine, answer)
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def _claim(connection: Connection, key: str, action: str, fingerprint: str) -> None:
    # Taken before the effect, so that a copy running at the same time waits for this outcome and then reads it.
    try:
        connection.execute(insert(request).values(key=key, action=action, fingerprint=fingerprint))
    except IntegrityError as taken:
        raise Contended(key) from taken


def _settle(connection: Connection, key: str, effect: Callable[[Connection], Answer]) -> Answer | Refusal:
    """Run `effect`; a refusal undoes what it has written so far, and is stored in its place."""
    try:
        with connection.begin_nested():
            answer = effect(connection)
    except Refusal as refusal:
        _store(connection, key, answer=json.dumps(str(refusal)), refusal=type(refusal).__name__)
        return refusal
    _store(connection, key, answer=json.dumps(answer), refusal=None)
    return answer


def _store(connection: Connection, key: str, *, answer: str, refusal: str | None) -> None:
    connection.execute(update(request).where(request.c.key == key).values(answer=answer, refusal=refusal))


def _kind_of_refusal(name: str) -> type[Refusal]:
    return next(kind for kind in Refusal.__subclasses__() if kind.__name__ == name)


def _fingerprint(arguments: Mapping[str, Any]) -> str:
    canonical = json.dumps(arguments, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
