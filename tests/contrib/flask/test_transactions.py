"""`session=db.session`: a saga exists if and only if the request commits."""

from __future__ import annotations

import pytest

from saga_celery import SagaNotFound


def test_a_commit_keeps_both_and_nudges_once(shop):
    with shop.app.app_context():
        saga_id = shop.buy("tea")
        assert shop.started() == []
        assert shop.nudged == []
        shop.db.session.commit()
    assert shop.purchases() == shop.started() == ["tea"]
    assert shop.nudged == [saga_id]


def test_a_rollback_drops_both_and_nudges_nobody(shop):
    with shop.app.app_context():
        saga_id = shop.buy("tea")
        shop.db.session.rollback()
        shop.db.session.commit()
        with pytest.raises(SagaNotFound):
            shop.saga.get(saga_id)
    assert shop.purchases() == shop.started() == shop.nudged == []


def test_what_the_end_of_the_request_throws_away_is_gone(shop):
    with shop.app.app_context():
        shop.buy("tea")
    with shop.app.app_context():
        kept = shop.buy("cake")
        shop.db.session.commit()
    assert shop.purchases() == shop.started() == ["cake"]
    assert shop.nudged == [kept]


def test_a_request_that_raises_starts_nothing(shop):
    @shop.app.post("/buy/<name>")
    def buy(name):
        shop.buy(name)
        if name == "bad":
            raise LookupError(name)
        shop.db.session.commit()
        return {}

    browser = shop.app.test_client()
    assert [browser.post(f"/buy/{name}").status_code for name in ("good", "bad")] == [200, 500]
    assert shop.purchases() == shop.started() == ["good"]


def test_the_release_of_a_savepoint_is_no_commit(shop):
    with shop.app.app_context():
        with shop.db.session.begin_nested():
            saga_id = shop.buy("tea")
        assert shop.nudged == []
        assert shop.started() == []
        shop.db.session.commit()
    assert shop.started() == ["tea"]
    assert shop.nudged == [saga_id]


def test_a_released_savepoint_goes_with_the_transaction_around_it(shop):
    with shop.app.app_context():
        with shop.db.session.begin_nested():
            shop.buy("tea")
        shop.db.session.rollback()
    assert shop.purchases() == shop.started() == shop.nudged == []


def test_a_savepoint_rolled_back_takes_its_saga_and_no_other(shop):
    with shop.app.app_context():
        shop.buy("before")
        inner = shop.db.session.begin_nested()
        shop.buy("within")
        inner.rollback()
        shop.buy("after")
        shop.db.session.commit()
    assert shop.purchases() == shop.started() == ["after", "before"]


def test_a_savepoint_within_one_that_is_rolled_back_goes_too(shop):
    with shop.app.app_context():
        outer = shop.db.session.begin_nested()
        with shop.db.session.begin_nested():
            shop.buy("inmost")
        outer.rollback()
        shop.buy("after")
        shop.db.session.commit()
    assert shop.purchases() == shop.started() == ["after"]


def test_a_key_that_was_rolled_back_is_free(shop):
    with shop.app.app_context():
        shop.buy("tea")
        shop.db.session.rollback()
        again = shop.buy("tea")
        shop.db.session.commit()
        assert shop.saga.get("tea").id == again


def test_without_a_session_it_is_committed_at_once(shop):
    with shop.app.app_context():
        shop.saga.start("tea", key="tea")
        shop.db.session.rollback()
    assert shop.started() == ["tea"]


def test_where_sqlites_driver_takes_the_release_of_a_savepoint_for_a_commit_it_commits_both(make_shop, sqlite_url):
    """What the recipe in docs/flask.md is for; and without it the saga and the row are still one."""
    shop = make_shop(sqlite_url)
    with shop.app.app_context():
        with shop.db.session.begin_nested():
            shop.buy("tea")
        shop.db.session.rollback()
    assert shop.purchases() == shop.started() == ["tea"]
