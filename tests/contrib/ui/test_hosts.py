"""The names under which the page answers."""

from __future__ import annotations

import pytest

from saga_celery.contrib.ui.hosts import Hosts

STRANGE = [
    None,
    "",
    "evil.example",
    "evil.example:8642",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1, evil.example",
    "127.0.0.1/evil",
    "localhost.",
    "[::1",
    "0x7f000001",
    "192.0.2.7",
]


@pytest.mark.parametrize(
    "header", ["localhost", "LOCALHOST:8642", "127.0.0.1:8642", "127.0.0.1", "[::1]:8642", "[::1]"]
)
@pytest.mark.parametrize(("bound", "host"), [("127.0.0.1", "127.0.0.1"), ("::1", "localhost"), ("127.0.0.1", "[::1]")])
def test_a_page_of_this_machine_answers_to_its_own_names(bound, host, header):
    hosts = Hosts(bound, host)
    assert hosts.has(header)
    assert hosts.are_local


@pytest.mark.parametrize("header", STRANGE)
def test_and_to_no_other(header):
    assert not Hosts("127.0.0.1", "127.0.0.1").has(header)


def test_further_names_are_others_people():
    hosts = Hosts("127.0.0.1", "127.0.0.1", ["Sagas.Example"])
    assert hosts.has("sagas.example:443")
    assert hosts.has("127.0.0.1")
    assert not hosts.has("other.example")
    assert (hosts.is_loopback, hosts.are_local) == (True, False)
    assert Hosts("127.0.0.1", "127.0.0.1", ["localhost"]).are_local


def test_an_address_of_the_network():
    hosts = Hosts("192.0.2.7", "console.lan")
    assert hosts.has("console.lan:8642")
    assert hosts.has("192.0.2.7:8642")
    assert not hosts.has("evil.example")
    assert not hosts.are_local


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])  # noqa: S104 - that is the question
def test_every_address_has_every_name_unless_some_are_given(bound):
    assert Hosts(bound, bound).has("whatever.example")
    assert not Hosts(bound, bound).are_local
    chosen = Hosts(bound, bound, ["sagas.example"])
    assert chosen.has("sagas.example")
    assert not chosen.has("whatever.example")
