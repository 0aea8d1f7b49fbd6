"""Who may come in, as it is written down."""

from __future__ import annotations

import click
import pytest

from saga_celery.contrib.ui.logins import VARIABLE, logins


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_password_may_hold_anything_but_a_line_break():
    people = logins(["ann:s3c:r et", "bob:pässwort"])
    assert people.names == ("ann", "bob")
    assert people.who("ann", "s3c:r et") == "ann"
    assert people.who("bob", "pässwort") == "bob"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", ""), ("ann", "s3c"), ("ann", "s3cret "), ("Ann", "s3cret"), ("", "s3cret"), ("bob", "s3cret"), ("", "")],
)
def test_who_knows_no_password_is_nobody(name, password):
    assert logins(["ann:s3cret", "bob:other"]).who(name, password) is None


def test_a_colon_moves_nothing_from_the_password_to_the_name():
    assert logins(["ann:s3:cret"]).who("ann:s3", "cret") == "ann"  # HTTP itself ends a name at the first colon
    assert logins(["ann:s3cret"]).who("ann:", "s3cret") is None


def test_a_file_and_the_environment_have_one_a_line(tmp_path, monkeypatch):
    staff = tmp_path / "staff"
    staff.write_text("# who is on call\nann:s3cret\n\nbob:an other # word\n")
    found = logins([f"@{staff}", "eve:third"])
    assert found.names == ("ann", "bob", "eve")
    assert found.who("bob", "an other # word") == "bob"
    monkeypatch.setenv(VARIABLE, f"zoe:with a space\n@{staff}")
    assert logins([]).names == ("zoe", "ann", "bob")
    assert logins(["tom:typed"]).names == ("tom",)


def test_nobody_is_named_where_nothing_is_said(monkeypatch):
    assert not logins([])
    monkeypatch.setenv(VARIABLE, "")
    assert not logins([])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["s3cret"], "write USER:PASSWORD"),
        ([":s3cret"], "write USER:PASSWORD"),
        (["ann:"], "write USER:PASSWORD"),
        ([" ann:s3cret"], "no space at its ends"),
        (["ann\r\nX-Evil: 1:s3cret"], "no control characters"),
        (["ann:s3cret", "ann:s3cret2"], "two passwords for 'ann'"),
        ([""], "nobody is named"),
        (["@"], "can not read"),
        (["@/no/such/file"], r"can not read /no/such/file: No such file"),
    ],
)
def test_what_is_wrong_is_told_without_the_password(given, why):
    with pytest.raises(click.BadParameter, match=why) as refused:
        logins(given)
    assert "s3cret" not in refused.value.format_message()
    assert refused.value.__cause__ is None


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "staff").write_bytes(b"ann:s3cret\xff")
    with pytest.raises(click.BadParameter, match="not written in UTF-8"):
        logins([f"@{tmp_path / 'staff'}"])


def test_nothing_shows_a_password():
    people = logins(["ann:s3cret"])
    assert "s3cret" not in repr(people) + str(people)
