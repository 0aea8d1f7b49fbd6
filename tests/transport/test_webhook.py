"""Posting to a configured address: that one and no other, and what it says is heard by its status alone."""

import hashlib
import hmac
import socket

import pytest

from saga_celery.errors import AlertNotDelivered
from saga_celery.settings import Settings
from saga_celery.transport import webhook
from saga_celery.transport.webhook import flaw, host_of, post, signature
from tests.receiver import receiving


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with receiving() as found:
        yield found


@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_is_posted_arrives(receiver, status):
    receiver.answers = [status]
    post(receiver.url, b'{"a": 1}', {"Idempotency-Key": "e-1"})
    (came,) = receiver.requests
    assert (came["method"], came["path"]) == ("POST", "/hook/s3cret")
    assert (came["content-type"], came["idempotency-key"]) == ("application/json", "e-1")
    assert receiver.bodies == [b'{"a": 1}']


@pytest.mark.parametrize("status", [302, 303, 307, 308])
def test_a_redirection_is_not_followed(receiver, status):
    receiver.answers = [status, 200]
    receiver.headers = {"Location": receiver.url.replace("hook", "elsewhere")}
    with pytest.raises(AlertNotDelivered, match=f"answered {status}"):
        post(receiver.url, b"{}", {})
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_any_other_answer_is_a_failure_that_does_not_tell_the_secret(receiver, status):
    receiver.answers = [status]
    with pytest.raises(AlertNotDelivered) as raised:
        post(receiver.url, b"{}", {})
    assert str(raised.value) == f"the webhook at 127.0.0.1 answered {status}"


def test_nobody_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/s3cret"
        with pytest.raises(AlertNotDelivered, match=r"did not answer \(ConnectionRefusedError: Connection refused\)"):
            post(url, b"{}", {})


def test_somebody_who_never_answers_is_waited_for_so_long_and_no_longer(monkeypatch):
    monkeypatch.setattr(webhook, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/s3cret"
        with pytest.raises(AlertNotDelivered, match="did not answer") as raised:
            post(url, b"{}", {})
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "begin with https"),
        ("ftp://host/x", "begin with https"),
        ("gopher://host/x", "begin with https"),
        ("host/path", "begin with https"),
        ("", "begin with https"),
        ("https:///path", "names no host"),
        ("https://host:port/s3cret", "can not be read"),
        ("https://[::1/s3cret", "can not be read"),
        ("https://ann:s3cret@host/", "a user or a password"),
        ("https://host/a b", "without spaces"),
        ("https://host/a\r\nX-Evil: 1", "printable"),
        ("https://höst/s3cret", "ASCII"),
        (b"https://host/", "text"),
        (None, "text"),
    ],
)
def test_what_can_not_be_posted_to_is_told_without_a_word_of_it(url, words):
    found = flaw(url)
    assert words in found
    assert "s3cret" not in found


@pytest.mark.parametrize("url", ["https://hooks.example/a/B?c=d", "http://127.0.0.1:8080/", "https://[::1]:8443/x"])
def test_what_can(url):
    assert flaw(url) is None


def test_of_an_address_its_host_is_shown():
    assert host_of("https://hooks.example:8443/services/s3cret") == "hooks.example"


def test_an_alert_is_signed_with_the_newest_key():
    assert signature(b"{}", Settings()) == {}
    headers = signature(b"{}", Settings(hmac_keys={"old": "one", "new": "two"}))
    expected = hmac.new(b"two", b"saga-webhook\n{}", hashlib.sha256).hexdigest()
    assert headers == {"X-Saga-Key": "new", "X-Saga-Signature": f"sha256={expected}"}


def test_other_schemes_are_not_opened_even_where_nobody_looked(tmp_path):
    """A `file:` URL has no handler; the check of the settings is not the only fence."""
    (tmp_path / "x").write_text("secret")
    with pytest.raises(AlertNotDelivered, match="did not answer"):
        post((tmp_path / "x").as_uri(), b"{}", {})
