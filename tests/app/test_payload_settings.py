"""Which codec and which payload store the settings name, and what is wrong with those that they can not."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from saga_celery import NotConfigured, PayloadUnreadable, SealBroken
from saga_celery.app.payload_directory import PayloadDirectory
from saga_celery.app.payloads import payloads_of
from saga_celery.engine.packed import APART, SEALED
from saga_celery.engine.payloads import Payloads
from saga_celery.errors import PayloadUnavailable
from saga_celery.settings import Settings
from tests.app.mirror import Mirror

HERE = "tests.app.test_payload_settings"


class Shelf:
    """A payload store."""

    def __init__(self) -> None:
        self.bodies: dict[tuple[str, str], bytes] = {}

    def put(self, saga_id: str, digest: str, body: bytes) -> None:
        self.bodies[(saga_id, digest)] = body

    def get(self, saga_id: str, digest: str) -> bytes:
        return self.bodies[(saga_id, digest)]

    def delete(self, saga_id: str) -> None:
        self.bodies.clear()


SHELF = Shelf()


def made_mirror() -> Mirror:
    return Mirror("made")


def payloads(**settings: Any) -> Payloads:
    settings = {"payload_limit": 1000, "payload_inline": 10, **settings}
    return payloads_of(Settings.from_conf({f"saga_{name}": value for name, value in settings.items()}), None)


def round_trip(payloads: Payloads, value: Any) -> Any:
    """What stands for the value; it must open again in another piece of work."""
    packer = payloads.packer()
    assert packer is not None
    packed = packer.value("s1", value)
    packer.taken()
    assert payloads.opened("s1", packed) == value
    return packed


def test_a_store_is_a_path_of_an_object_or_of_what_makes_one() -> None:
    assert APART in round_trip(payloads(payload_store=f"{HERE}.SHELF"), "x" * 50)
    assert APART in round_trip(payloads(payload_store=f"{HERE}.Shelf"), "x" * 50)
    assert APART in round_trip(payloads(payload_store=Shelf()), "x" * 50)


def test_a_codec_is_a_path_of_an_object_or_of_what_makes_one_or_a_list() -> None:
    assert round_trip(payloads(codec=f"{HERE}.made_mirror"), 1)[SEALED].startswith("made:")
    assert round_trip(payloads(codec=Mirror()), 1)[SEALED].startswith("mirror:")
    old = round_trip(payloads(codec=Mirror("old")), 1)
    both = payloads(codec=[f"{HERE}.made_mirror", Mirror("old")])
    assert both.opened("s1", old) == 1
    assert round_trip(both, 1)[SEALED].startswith("made:")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"payload_store": "s3://bucket"}, "write file:///a/directory, or the dotted path"),
        ({"payload_store": "file://host/srv"}, "write file:///a/directory"),
        ({"payload_store": "file:///"}, "write file:///a/directory"),
        ({"payload_store": "tests.app.nowhere.Store"}, "saga_payload_store='tests.app.nowhere.Store': No module named"),
        ({"payload_store": f"{HERE}.Missing"}, "has no attribute 'Missing'"),
        ({"payload_store": "Shelf"}, "write the dotted path of something to import"),
        ({"payload_store": object()}, "it has no put, get, delete; see PayloadStore"),
        ({"codec": f"{HERE}.SHELF"}, "it has no encode, decode; see Codec"),
        ({"codec": Mirror("two words")}, "its `name` is 'two words'"),
        ({"fernet_keys": "a text"}, "expected tuple"),
        ({"payload_inline": 0}, "must be positive"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(NotConfigured) as found:
        payloads(**settings)
    assert problem in str(found.value)


def test_a_worker_that_reaches_no_store_keeps_nothing_apart_and_says_so() -> None:
    far = payloads()
    assert far.packer() is None
    sealing = payloads(codec=Mirror())
    assert SEALED in round_trip(sealing, "x" * 50)
    with pytest.raises(PayloadUnreadable, match="set saga_payload_store to a place that all workers reach"):
        far.opened("s1", {APART: {"sha256": "a" * 64, "size": 50}})


# ----------------------------------------------------------------------------------------------------------- directory


def test_a_directory_keeps_what_it_has_and_shows_nothing_half_written(tmp_path: Path) -> None:
    directory = PayloadDirectory(tmp_path / "payloads")
    directory.put("saga-01", "a" * 64, b"tea")
    file = tmp_path / "payloads" / "01" / "saga-01" / ("a" * 64)
    written = file.stat().st_ino
    directory.put("saga-01", "a" * 64, b"tea")
    directory.put("saga-01", "b" * 64, b"milk")

    assert directory.get("saga-01", "a" * 64) == b"tea"
    assert file.stat().st_ino == written
    assert sorted(each.name[:2] for each in file.parent.iterdir()) == ["aa", "bb"]
    directory.delete("saga-01")
    directory.delete("saga-01")
    with pytest.raises(KeyError):
        directory.get("saga-01", "a" * 64)


def test_a_directory_that_is_not_mounted_is_an_outage_and_no_loss(tmp_path: Path) -> None:
    away = payloads(payload_store=f"file://{tmp_path}/not-mounted")
    with pytest.raises(PayloadUnavailable, match="FileNotFoundError"):
        away.opened("s1", {APART: {"sha256": "a" * 64, "size": 50}})


# -------------------------------------------------------------------------------------------------------------- fernet


FIRST, SECOND = (base64.urlsafe_b64encode(bytes(range(first, first + 32))).decode() for first in (0, 100))
"""Always the same, as names of tests are made of them."""


def test_fernet_keys_follow_one_another() -> None:
    first = round_trip(payloads(fernet_keys=[FIRST]), "tea")
    second = round_trip(payloads(fernet_keys=[SECOND, FIRST]), "tea")
    assert payloads(fernet_keys=[SECOND, FIRST]).opened("s1", first) == "tea"
    assert payloads(fernet_keys=[SECOND]).opened("s1", second) == "tea"
    for keys, sealed in (([SECOND], first), ([FIRST], second)):
        with pytest.raises(SealBroken, match="another key"):
            payloads(fernet_keys=keys).opened("s1", sealed)


def test_what_fernet_sealed_shows_nothing_and_is_never_the_same_twice() -> None:
    sealed = [round_trip(payloads(fernet_keys=[FIRST]), "tea with milk")[SEALED] for _ in range(2)]
    assert sealed[0] != sealed[1]
    for each in sealed:
        name, _, token = each.partition(":")
        assert name == "fernet"
        assert b"milk" not in base64.urlsafe_b64decode(token)
        assert b"milk" in Fernet(FIRST).decrypt(token)


def test_a_seal_that_was_tampered_with_does_not_open() -> None:
    """A letter changed, a part lost, garbage, and nothing at all."""
    codec = payloads(fernet_keys=[SECOND, FIRST])
    sealed = round_trip(codec, "tea")[SEALED]
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    for broken in (changed, sealed[:middle], "fernet:not a token", "fernet:é", "fernet:"):
        with pytest.raises(SealBroken):
            codec.opened("s1", {SEALED: broken})


def test_a_codec_of_ones_own_comes_before_fernet_and_both_open() -> None:
    first = round_trip(payloads(fernet_keys=[FIRST]), "tea")
    both = payloads(fernet_keys=[FIRST], codec=Mirror())
    assert both.opened("s1", first) == "tea"
    assert round_trip(both, "tea")[SEALED].startswith("mirror:")


@pytest.mark.parametrize("key", ["s3cret", "s3cret-é", FIRST[:-4]])
def test_a_key_that_is_none_is_told_without_the_key(key: Any) -> None:
    with pytest.raises(NotConfigured, match="one of them is no Fernet key") as found:
        payloads(fernet_keys=[FIRST, key])
    error: BaseException | None = found.value
    while error is not None:
        assert str(key) not in str(error)
        error = error.__cause__


def test_a_new_key_is_one() -> None:
    assert SEALED in round_trip(payloads(fernet_keys=[Fernet.generate_key().decode()]), "tea")


def test_without_cryptography_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    with pytest.raises(NotConfigured, match=r'pip install "saga-celery\[crypto\]"'):
        payloads(fernet_keys=[FIRST])
