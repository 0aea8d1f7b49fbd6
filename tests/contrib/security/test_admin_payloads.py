"""What somebody wrote into a saga, in the pages of Django's admin."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from tests.cli.conftest import Shop
from tests.contrib.django.conftest import kept_file, shop
from tests.contrib.django.office import LIST, Office, admin_tables, office
from tests.contrib.security import hostile
from tests.contrib.security.test_admin_roles import kept_url

__all__ = ["admin_tables", "kept_file", "kept_url", "office", "shop"]


@pytest.fixture
def attacked(office: Office) -> list[str]:
    hostile.define()
    by_hand = Shop(office.shop.celery, office.shop.sagas, clock=None)
    return [hostile.failed(by_hand), hostile.chained(by_hand)]


def test_nothing_of_it_runs(office: Office, attacked: list[str]) -> None:
    client = office.operator()
    pages = {"the list": client.get(LIST), "a search": client.get(LIST, {"q": hostile.SHORT})}
    for saga_id in attacked:
        url = f"{LIST}{saga_id}/change/"
        fields = {"verb": "skip", "step": hostile.SHORT, "expected_version": 0, "reason": hostile.BREAKS_OUT}
        pages[f"{saga_id} seen"] = client.get(url)
        pages[f"{saga_id} refused"] = client.post(url, fields)
        pages[f"{saga_id} sent"] = client.post(url, {**fields, "verb": "send", "event": hostile.BREAKS_OUT})
    bulk = {"action": "cancel_selected", "_selected_action": attacked, "reason": hostile.BREAKS_OUT, "index": "0"}
    pages["many"] = client.post(LIST, bulk, follow=True)
    for what, page in pages.items():
        text = page.content.decode()
        assert page.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, what
        assert hostile.Made(text).attacks == [], what
        assert "ran=1" in text, what  # it is there, as text
