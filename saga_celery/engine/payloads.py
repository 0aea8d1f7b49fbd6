"""Payloads: how values are packed on their way into the machine, and opened where they are used.

What packs is the coordinator, for every value that news bring, and whoever starts a saga. What opens is the saga's own
code when it is called, the seat round a participant's task, and whoever reads a result. In between, in the machine, its
rows, its history and the broker, packed values are carried about unopened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeAlias, TypeVar

from saga_celery.core.states import Message
from saga_celery.engine.packed import APART, SEALED, Reference, is_packed, reference_in
from saga_celery.engine.seals import Seals
from saga_celery.errors import PayloadMissing, PayloadUnavailable, PayloadUnreadable, StoreUnavailable

VALUES = frozenset({"result", "payload"})
"""Fields of news that hold a value of a user."""

OPEN_ARGUMENTS: Mapping[str, frozenset[str]] = {"saga_celery.child": frozenset({"plan", "timeout", "max_running"})}
"""Arguments that the engine itself reads, by what stands for a task where there is none."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A value that is kept apart, as it is stored."""

    saga_id: str
    digest: str
    body: str
    """JSON text, or a seal of it."""


Pending: TypeAlias = dict[tuple[str, str], Payload]
"""What is not stored yet, by saga and digest."""


class PayloadStore(Protocol):
    """Where values are kept apart; called from any thread, and by any process that packs or opens.

    What it raises is taken for an outage: whoever packs or opens tries again later. A transition that fails after its
    `put` leaves a payload that nobody refers to, which does no harm and goes with its saga.
    """

    def put(self, saga_id: str, digest: str, body: bytes) -> None:
        """Keep a payload, durably once this returns; the same one may come again."""
        ...

    def get(self, saga_id: str, digest: str) -> bytes:
        """Read a payload.

        Raises:
            KeyError: there is none.
        """
        ...

    def delete(self, saga_id: str) -> None:
        """Delete all payloads of a saga, if there are any."""
        ...


class Payloads:
    """Opens what is packed, and makes packers.

    Args:
        store: gives the payload store; raises `PayloadUnreadable` in a process that can not reach it.
        seals: the codecs.
        inline: most bytes of JSON text that stay in place.
        limit: most bytes that a value may have at all; where no value can be larger than `inline`, none is kept apart.
        with_transition: True: the store lies in the saga database and is written by its transitions; False: it is
            written before them.
    """

    def __init__(
        self, *, store: Callable[[], PayloadStore], seals: Seals, inline: int, limit: int, with_transition: bool
    ) -> None:
        self._store = store
        self.seals = seals
        self.inline = inline
        self.active = seals.active or limit > inline
        """False: no value is packed, so there is nothing to look for."""
        self.with_transition = with_transition

    def packer(self) -> Packer | None:
        """A packer for one piece of work; None where nothing is ever packed."""
        return Packer(self) if self.active else None

    def opened(self, saga_id: str, value: Any) -> Any:
        """The value that something stands for; any other is given back as it is.

        Raises:
            PayloadMissing: it was kept apart and is gone.
            SealBroken: no codec of this process opens it.
            PayloadUnavailable: the payload store does not answer.
        """
        return json.loads(self.text(saga_id, value)) if is_packed(value) else value

    def opened_parts(self, saga_id: str, payload: Any) -> Any:
        """What a hook is told, with every value in it opened; see `opened`."""
        if not isinstance(payload, dict):
            return payload
        return {name: self.opened(saga_id, value) for name, value in payload.items()}

    def opened_call(
        self, saga_id: str, args: tuple[Any, ...] | list[Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a task, opened; see `opened`."""
        return (
            [self.opened(saga_id, value) for value in args],
            {name: self.opened(saga_id, value) for name, value in kwargs.items()},
        )

    def text(self, saga_id: str, packed: Mapping[str, Any], pending: Pending | None = None) -> str:
        """The JSON text of what a packed value stands for.

        Args:
            saga_id: the saga that it belongs to.
            packed: what stands in its place.
            pending: payloads that are not stored yet, by saga and digest.
        """
        reference = reference_in(packed)
        if reference is None:
            return self.seals.open(str(packed[SEALED]))
        waiting = (pending or {}).get((saga_id, reference.digest))
        body = waiting.body if waiting else self._fetched(saga_id, reference)
        return self.seals.open(body) if reference.sealed else body

    def keep(self, payloads: tuple[Payload, ...]) -> tuple[Payload, ...]:
        """Store what goes into a store of its own; what is left has to be stored with the transition.

        Raises:
            PayloadUnavailable: the payload store does not answer.
        """
        if self.with_transition or not payloads:
            return payloads
        store = self._store()
        for each in payloads:
            try:
                store.put(each.saga_id, each.digest, each.body.encode())
            except Exception as error:
                raise PayloadUnavailable(f"payloads can not be stored: {error!r}") from error
        return ()

    def forget(self, saga_id: str) -> None:
        """Delete what is kept apart for a saga, which nobody will ask for any more."""
        self._store().delete(saga_id)

    def _fetched(self, saga_id: str, reference: Reference) -> str:
        store = self._store()
        try:
            body = store.get(saga_id, reference.digest)
        except KeyError:
            raise PayloadMissing(
                f"payload {reference.digest} of saga {saga_id} ({reference.size} bytes) is not in the payload store: "
                "it was deleted there, or this process has another saga_payload_store"
            ) from None
        except StoreUnavailable as error:
            raise PayloadUnavailable(str(error)) from error
        except Exception as error:
            raise PayloadUnavailable(f"payload {reference.digest} can not be read: {error!r}") from error
        if hashlib.sha256(body).hexdigest() != reference.digest:
            raise PayloadUnreadable(f"payload {reference.digest} of saga {saga_id} was changed after it was stored")
        return body.decode()


class Packer:
    """Packs what comes into one piece of work, and opens what it packed before that is stored.

    Args:
        payloads: the payloads of this process.
    """

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._pending: Pending = {}
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        """What stands for a text that was opened here: a seal never comes out the same twice, so a large input that is
        handed on to a task would be stored once more."""

    def value(self, saga_id: str, value: Any) -> Any:
        """What may lie in rows and messages in place of a value."""
        if value is None:
            return None
        if is_packed(value):
            return self._moved(saga_id, value)
        text = _dumps(value)
        return self._packed(saga_id, text, value, apart=_size(text) > self._payloads.inline)

    def news(self, saga_id: str, news: T) -> T:
        """The same news, with every value and message in it packed."""
        whole: Any = news
        parts = {part.name: getattr(whole, part.name) for part in fields(whole)}
        packed = {name: self._part(saga_id, name, part) for name, part in parts.items()}
        changed = {name: part for name, part in packed.items() if part is not parts[name]}
        found: T = replace(whole, **changed) if changed else whole
        return found

    def opened(self, saga_id: str, value: Any) -> Any:
        """See `Payloads.opened`."""
        if not is_packed(value):
            return value
        text = self._payloads.text(saga_id, value, self._pending)
        self._known[(saga_id, _digest(text))] = value
        return json.loads(text)

    def handed_over(self, saga_id: str, other_id: str, value: Any) -> Any:
        """What stands for a value of one saga, as another saga may hold it: what is kept apart is kept for each.

        What can not be read is handed over as it is: the other saga parks when it needs it.

        Raises:
            PayloadUnavailable: the payload store does not answer.
        """
        if not (is_packed(value) and APART in value):
            return value
        try:
            return self.value(other_id, self.opened(saga_id, value))
        except PayloadUnreadable:
            return value

    def taken(self) -> tuple[Payload, ...]:
        """What has to be stored with the transition, or with the start; the packer keeps it, as that may have to be
        done again.

        Raises:
            PayloadUnavailable: the payload store does not answer.
        """
        return self._payloads.keep(tuple(self._pending.values()))

    def forget(self) -> None:
        """Begin another piece of work."""
        self._pending.clear()
        self._known.clear()

    # ---------------------------------------------------------------------------------------------------------- inside

    def _part(self, saga_id: str, name: str, part: Any) -> Any:
        if isinstance(part, Message):
            return self._message(saga_id, part)
        if isinstance(part, tuple) and any(isinstance(each, Message) for each in part):
            return tuple(self._part(saga_id, name, each) for each in part)
        return self.value(saga_id, part) if name in VALUES else part

    def _message(self, saga_id: str, message: Message) -> Message:
        """The largest arguments are kept apart, until the rest fits."""
        values: dict[Any, Any] = {**dict(enumerate(message.args)), **message.kwargs}
        kept_open = OPEN_ARGUMENTS.get(message.task, frozenset())
        texts = {place: _dumps(value) for place, value in values.items() if not (value is None or place in kept_open)}
        sizes = {place: _size(text) for place, text in texts.items()}
        apart, left = set(), sum(sizes.values())
        for place in sorted(sizes, key=lambda place: -sizes[place]):
            if left > self._payloads.inline:
                apart.add(place)
                left -= sizes[place]
        if not apart and not self._payloads.seals.active:
            return message
        values |= {
            place: self._packed(saga_id, text, values[place], apart=place in apart) for place, text in texts.items()
        }
        return replace(
            message,
            args=tuple(values[place] for place in range(len(message.args))),
            kwargs={name: values[name] for name in message.kwargs},
        )

    def _moved(self, saga_id: str, packed: dict[str, Any]) -> dict[str, Any]:
        """A worker that reaches no payload store sends a large result sealed as it is."""
        seal = packed.get(SEALED, "")
        return self._apart(saga_id, seal, len(seal), sealed=True) if len(seal) > self._payloads.inline else packed

    def _apart(self, saga_id: str, body: str, size: int, *, sealed: bool) -> dict[str, Any]:
        digest = _digest(body)
        self._pending[(saga_id, digest)] = Payload(saga_id=saga_id, digest=digest, body=body)
        return Reference(digest=digest, size=size, sealed=sealed).plain()

    def _packed(self, saga_id: str, text: str, value: Any, *, apart: bool) -> Any:
        seals = self._payloads.seals
        if not apart:
            return {SEALED: seals.seal(text)} if seals.active else value
        known = self._known.get((saga_id, _digest(text)))
        return known or self._apart(saga_id, seals.seal(text), _size(text), sealed=seals.active)


def _dumps(value: Any) -> str:
    """Compact, as it is measured where it is checked."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
