"""Which URLs of databases are taken, and what is said of the others."""

from __future__ import annotations

import sys

import pytest

from saga_celery import NotConfigured
from saga_celery.store.addresses import address
from saga_celery.store.connections import Connections


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "can not be read: write postgresql+psycopg://user:password@host/name"),
        ("postgresql+psycopg://me:SECRET@host:port/name", "can not be read: write"),
        ("postgres://me:SECRET@host/name", "begins with postgres://, which is no database that sagas can be kept in: "),
        ("postgres://me:SECRET@host/name", ": write postgresql+psycopg://"),
        ("oracle://me:SECRET@host/name", ": write postgresql+psycopg://, mysql+pymysql://, mariadb+pymysql://, sqlite"),
        ("mysql+nosuch://me:SECRET@host/name", "SQLAlchemy has no such driver: write mysql+pymysql://"),
        ("sqlite+aiosqlite:///x.db", "which is for asyncio, and sagas work without it: write sqlite://"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write_and_without_the_password(url, sentence):
    with pytest.raises(NotConfigured) as refusal:
        Connections(url, chance=lambda: 0.5)
    assert sentence in str(refusal.value)
    assert "SECRET" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "module", "sentence"),
    [
        ("postgresql+psycopg://host/name", "psycopg", ": pip install 'saga-celery[postgres]'"),
        ("postgresql+psycopg2://host/n", "psycopg2", "[postgres]', and write postgresql+psycopg://"),
        ("mysql+pymysql://host/name", "pymysql", ": pip install 'saga-celery[mysql]'"),
        ("mysql://host/name", "MySQLdb", ": pip install 'saga-celery[mysql]', and write mysql+pymysql://"),
    ],
)
def test_a_driver_that_is_not_installed(monkeypatch, url, module, sentence):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NotConfigured) as refusal:
        address(url)
    assert "whose driver is not installed" in str(refusal.value)
    assert str(refusal.value).endswith(sentence)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///x.db", "postgresql+psycopg://me@host/name", "mysql+pymysql://me@host/name"]
)
def test_what_can_be_opened_is_taken(url):
    assert address(url).render_as_string(hide_password=False) == url
