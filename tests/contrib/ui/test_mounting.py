"""`flask saga ui` and `manage.py saga ui`, whose sagas are in the framework's database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from click.testing import CliRunner
from django.core.management import ManagementUtility
from django.db import connections
from flask.cli import FlaskGroup

from saga_celery.contrib.flask.command import saga as under_flask
from tests.contrib.django.conftest import Shop, empty_tables, kept_file, on, shop_on
from tests.contrib.flask.conftest import make_shop
from tests.contrib.ui.conftest import ask

__all__ = ["kept_file", "make_shop"]

pytestmark = pytest.mark.usefixtures("with_ui")

PROGRAM = {"X_Saga_Console": "1", "Content_Type": "application/json"}


def test_under_flask_it_has_the_apps_database(make_shop: Any, sqlite_url: str, visited: Any) -> None:
    shop = make_shop(sqlite_url)
    with shop.app.app_context():
        saga_id = shop.buy("tea")
        shop.db.session.commit()
    host = FlaskGroup(create_app=lambda: shop.app, load_dotenv=False)
    host.add_command(under_flask)
    visit = visited(lambda address: json.loads(ask(address, "api/sagas")[1]))
    result = CliRunner().invoke(host, ["saga", "ui", "--port=0"], prog_name="flask")
    assert result.exit_code == 0, result.output
    assert [each["id"] for each in visit.saw[0]["sagas"]] == [saga_id]


@pytest.fixture
def django_shop(kept_file: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with shop_on(monkeypatch, default=on(kept_file)) as made:
        empty_tables("default")
        yield made


def test_under_django_it_has_djangos_database_and_keeps_no_connection(
    django_shop: Shop, visited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = django_shop.order.start(7, key="order-7")
    django_shop.look(handle)
    opened: list[Any] = []
    connect = connections["default"].__class__.connect

    def noted(wrapper: Any) -> None:
        opened.append(wrapper)
        connect(wrapper)

    monkeypatch.setattr(connections["default"].__class__, "connect", noted)

    def visitor(address: str) -> Any:
        event = {"step": "approve", "event": {"ok": True}}
        path = f"api/sagas/{handle.id}"
        sent = ask(address, f"{path}/send", method="POST", body=event, **PROGRAM)
        return sent, json.loads(ask(address, path)[1]), [wrapper.connection for wrapper in opened]

    visit = visited(visitor)
    with pytest.raises(SystemExit) as ended:
        ManagementUtility(["manage.py", "saga", "ui", "--port=0", "--writable"]).execute()
    assert not ended.value.code
    ((sent, shown, left_open),) = visit.saw
    assert sent[0] == HTTPStatus.OK, sent
    assert shown["key"] == "order-7"
    assert opened
    assert left_open == [None] * len(opened)
