"""Packing and opening without a database: sizes, seals, and what goes wrong."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from saga_celery.core.events import AttemptLost, AttemptSucceeded, Rendered
from saga_celery.core.states import Message, Policy, Slot
from saga_celery.engine.packed import APART, SEALED, is_packed, reference_in
from saga_celery.engine.payloads import Packer, Payloads
from saga_celery.engine.seals import Codec, Seals
from saga_celery.errors import PayloadMissing, PayloadUnavailable, PayloadUnreadable, SealBroken, StoreUnavailable

SLOT = Slot("charge")


class Memory:
    """A payload store."""

    def __init__(self) -> None:
        self.bodies: dict[tuple[str, str], bytes] = {}
        self.trouble: Exception | None = None
        self.reads = 0

    def put(self, saga_id: str, digest: str, body: bytes) -> None:
        self._ask()
        self.bodies[(saga_id, digest)] = body

    def get(self, saga_id: str, digest: str) -> bytes:
        self._ask()
        self.reads += 1
        return self.bodies[(saga_id, digest)]

    def delete(self, saga_id: str) -> None:
        self.bodies = {place: body for place, body in self.bodies.items() if place[0] != saga_id}

    def _ask(self) -> None:
        if self.trouble:
            raise self.trouble


class Text:
    """A codec whose output is text, never twice the same."""

    name = "text"

    def __init__(self) -> None:
        self.count = 0

    def encode(self, data: bytes) -> bytes:
        self.count += 1
        return b"%d-" % self.count + base64.b16encode(data)

    def decode(self, data: bytes) -> bytes:
        return base64.b16decode(data.partition(b"-")[2])


def payloads(store: Memory | None = None, *codecs: Codec, inline: int = 20, with_transition: bool = False) -> Payloads:
    kept = store or Memory()
    return Payloads(store=lambda: kept, seals=Seals(codecs), inline=inline, limit=1000, with_transition=with_transition)


def packer(*args: Any, **options: Any) -> Packer:
    found = payloads(*args, **options).packer()
    assert found is not None
    return found


def test_without_codec_and_large_values_there_is_no_packer() -> None:
    assert payloads(inline=1000).packer() is None
    assert payloads(None, Text(), inline=1000).packer() is not None


@pytest.mark.parametrize("value", ["x" * 19, "é" * 10, None, 7, []])
def test_the_size_of_the_json_text_decides(value: Any) -> None:
    own = packer()
    fits = value != "x" * 19 and value != "é" * 10
    assert is_packed(own.value("s1", value)) is not fits
    assert own.opened("s1", own.value("s1", value)) == value


def test_a_transition_gets_what_lies_in_the_saga_database_and_nothing_else() -> None:
    store = Memory()
    own, other = packer(with_transition=True), packer(store)
    for each in (own, other):
        each.news("s1", AttemptSucceeded(slot=SLOT, attempt=1, result="x" * 50))
    (kept,) = own.taken()
    assert (kept.saga_id, kept.body) == ("s1", '"' + "x" * 50 + '"')
    assert kept.digest == hashlib.sha256(kept.body.encode()).hexdigest()
    assert other.taken() == ()
    assert list(store.bodies) == [("s1", kept.digest)]
    own.forget()
    assert own.taken() == ()


def test_news_without_values_are_the_same_news() -> None:
    lost = AttemptLost(slot=SLOT, attempt=1, reason="x" * 100)
    assert packer(None, Text()).news("s1", lost) is lost


def rendered(*args: Any, **kwargs: Any) -> Rendered:
    return Rendered(slot=SLOT, message=Message(task="t", args=args, kwargs=kwargs), policy=Policy())


def test_of_a_message_the_largest_arguments_are_kept_apart_until_the_rest_fits() -> None:
    news = packer().news("s1", rendered("x" * 10, "y" * 30, None, b="z" * 20, a=1))
    message = news.message
    assert message is not None
    assert [is_packed(value) for value in message.args] == [False, True, False]
    assert {name: is_packed(value) for name, value in message.kwargs.items()} == {"b": True, "a": False}
    assert list(message.kwargs) == ["b", "a"]

    small = rendered("x", a=1)
    assert packer().news("s1", small) is small


def test_a_codec_seals_each_argument_but_nothing_that_is_not_there() -> None:
    own = packer(None, Text())
    message = own.news("s1", rendered("x", None, a="z" * 30)).message
    assert message is not None
    assert message.args == ({SEALED: "text:1-227822"}, None)
    reference = reference_in(message.kwargs["a"])
    assert reference is not None
    assert reference.sealed
    assert own.opened("s1", message.kwargs["a"]) == "z" * 30


@dataclass(frozen=True, kw_only=True)
class Several:
    messages: tuple[Message, ...]
    name: str


def test_messages_side_by_side_are_packed_as_well() -> None:
    news = Several(messages=(Message(task="t", args=("x" * 30,)), Message(task="t")), name="x" * 30)
    packed = packer().news("s1", news)
    assert is_packed(packed.messages[0].args[0])
    assert (packed.messages[1], packed.name) == (Message(task="t"), "x" * 30)


def test_what_was_opened_and_is_handed_on_is_not_stored_again() -> None:
    store = Memory()
    first = packer(store, Text())
    stored = first.value("s1", "x" * 50)
    first.taken()
    own = packer(store, Text())
    message = own.news("s1", rendered(own.opened("s1", stored))).message
    assert message is not None
    assert message.args == (stored,)
    own.taken()
    assert len(store.bodies) == 1

    own.news("s2", rendered("x" * 50))
    own.taken()
    assert {saga_id for saga_id, _ in store.bodies} == {"s1", "s2"}


def test_another_saga_gets_a_payload_of_its_own() -> None:
    store = Memory()
    own = packer(store)
    large, small = own.value("s1", "x" * 50), own.value("s1", "tea")
    other = own.handed_over("s1", "s2", large)
    assert own.handed_over("s1", "s2", small) == small
    assert other == large  # one digest, two addresses
    own.taken()
    assert {saga_id for saga_id, _ in store.bodies} == {"s1", "s2"}
    assert payloads(store).opened("s2", other) == "x" * 50
    store.bodies.clear()
    assert packer(store).handed_over("s1", "s2", large) is large


def test_what_the_engine_itself_reads_stays_open() -> None:
    child = Message(task="saga_celery.child", kwargs={"plan": "p" * 50, "input": "tea", "timeout": 5.0})
    news = Rendered(slot=SLOT, message=child, policy=Policy())
    message = packer(None, Text()).news("s1", news).message
    assert message is not None
    assert (message.kwargs["plan"], message.kwargs["timeout"]) == ("p" * 50, 5.0)
    assert SEALED in message.kwargs["input"]
    assert packer().news("s1", news) is news


def test_a_large_seal_that_a_worker_without_the_store_sent_is_kept_apart() -> None:
    codec = Text()
    far = Payloads(store=Memory, seals=Seals([codec]), inline=1000, limit=1000, with_transition=True).packer()
    assert far is not None
    sealed, small = far.value("s1", "x" * 50), far.value("s1", 1)
    assert SEALED in sealed
    own = packer(None, codec)
    moved = own.value("s1", sealed)
    assert APART in moved
    assert own.opened("s1", moved) == "x" * 50
    assert own.value("s1", small) is small
    assert own.value("s1", moved) is moved


def test_a_hook_gets_its_payload_open() -> None:
    own = payloads(None, Text())
    packed = packer(None, Text()).value("s1", "tea")
    assert own.opened_parts("s1", {"result": packed, "key": "k"}) == {"result": "tea", "key": "k"}
    assert own.opened_parts("s1", 7) == 7
    assert own.opened_call("s1", [packed, 1], {"a": packed}) == (["tea", 1], {"a": "tea"})


# ------------------------------------------------------------------------------------------------------------- trouble


def test_what_is_gone_changed_or_out_of_reach_is_told_apart() -> None:
    store = Memory()
    own = packer(store)
    packed = own.value("s1", "x" * 50)
    own.taken()
    own.forget()

    store.trouble = StoreUnavailable("down")
    with pytest.raises(PayloadUnavailable, match="down"):
        own.opened("s1", packed)
    store.trouble = OSError("no such host")
    with pytest.raises(PayloadUnavailable, match="no such host"):
        own.opened("s1", packed)
    own.value("s1", "y" * 50)
    with pytest.raises(PayloadUnavailable, match="can not be stored: OSError"):
        own.taken()
    store.trouble = None
    store.bodies = dict.fromkeys(store.bodies, b'"z"')
    with pytest.raises(PayloadUnreadable, match="was changed"):
        own.opened("s1", packed)
    payloads(store).forget("s1")
    with pytest.raises(PayloadMissing, match=r"\(52 bytes\) is not in the payload store"):
        own.opened("s1", packed)


@pytest.mark.parametrize(
    "written",
    [
        7,
        {},
        {"sha256": "../../etc/passwd", "size": 1},
        {"sha256": "a" * 64, "size": "1"},
        {"sha256": "a" * 65, "size": 1},
    ],
)
def test_a_reference_that_is_none_is_refused(written: Any) -> None:
    with pytest.raises(PayloadUnreadable, match="is no reference"):
        payloads().opened("s1", {APART: written})


class Moody(Text):
    def decode(self, data: bytes) -> bytes:
        raise StoreUnavailable("the key service does not answer")

    def encode(self, data: bytes) -> bytes:
        raise OSError("the key service is gone")


class Raw(Text):
    """Bytes, or text that looks like a mark of ours."""

    name = "raw"

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded

    def encode(self, data: bytes) -> bytes:
        return self._encoded

    def decode(self, data: bytes) -> bytes:
        assert data == self._encoded
        return b"7"


@pytest.mark.parametrize("encoded", [b"", b"\x00\xff", b"base64,AAAA", b"plain", b"two\nlines"])
def test_any_bytes_of_a_codec_survive(encoded: bytes) -> None:
    own = packer(None, Raw(encoded))
    packed = own.value("s1", "seven")
    assert packed[SEALED].isprintable()
    assert own.opened("s1", packed) == 7


def test_a_codec_may_be_away_or_another_one() -> None:
    with pytest.raises(PayloadUnavailable, match="key service is gone"):
        packer(None, Moody()).value("s1", 1)
    with pytest.raises(PayloadUnavailable, match="does not answer"):
        payloads(None, Moody()).opened("s1", {SEALED: "text:1-31"})
    with pytest.raises(SealBroken, match=r"codec 'text' can not open it \(Error\)"):
        payloads(None, Text()).opened("s1", {SEALED: "text:1-3"})
    with pytest.raises(SealBroken, match="by codec 'fernet', and this process has 'text'"):
        payloads(None, Text()).opened("s1", {SEALED: "fernet:x"})
    with pytest.raises(SealBroken, match="can not open it"):
        payloads(None, Raw(b"x")).opened("s1", {SEALED: "raw:base64,???"})


def test_half_a_surrogate_pair_is_measured_and_kept() -> None:
    own = packer(inline=1)
    packed = own.value("s1", "\ud800")
    assert own.opened("s1", packed) == "\ud800"
