"""`SagaCelery` in app factories."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from saga_celery import NotConfigured, SagaApp
from saga_celery.contrib.flask import SagaCelery
from tests.contrib.flask.conftest import celery_init_app

pytestmark = pytest.mark.usefixtures("own_registry")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask's instance folder is made in it."""
    monkeypatch.chdir(tmp_path)


def bare(**celery: object) -> Flask:
    app = Flask("bare")
    app.config["CELERY"] = {"broker_url": "memory://", **celery}
    return app


def with_celery(**celery: object) -> Flask:
    app = bare(**celery)
    celery_init_app(app)
    return app


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package `larder`, which is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = tmp_path / "larder"
    made.mkdir()
    (made / "__init__.py").touch()
    for name in ("larder", "larder.sagas"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return made


class TestInstalling:
    def test_the_saga_app_is_among_the_extensions(self):
        app = with_celery()
        SagaCelery(app)
        found = app.extensions["saga_celery"]
        assert isinstance(found, SagaApp)
        assert found.celery is app.extensions["celery"]

    def test_it_may_be_made_before_everything_else_and_serve_several_apps(self):
        sagas = SagaCelery()
        one, other = with_celery(), with_celery()
        sagas.init_app(one)
        sagas.init_app(other)
        assert one.extensions["saga_celery"].celery is one.extensions["celery"]
        assert other.extensions["saga_celery"].celery is other.extensions["celery"]

    def test_twice_is_once(self):
        app = with_celery()
        SagaCelery(app)
        first = app.extensions["saga_celery"]
        SagaCelery(app)
        assert app.extensions["saga_celery"] is first

    @pytest.mark.parametrize("found", [{}, {"celery": "no Celery app"}])
    def test_without_celery_the_next_step_is_named(self, found):
        app = bare()
        app.extensions.update(found)
        with pytest.raises(NotConfigured, match=r"'bare' has no Celery app .* call `celery_init_app\(app\)`"):
            SagaCelery(app)

    def test_its_own_tasks_run_in_the_app_context_like_all_others(self):
        app = with_celery()
        celery = app.extensions["celery"]
        SagaCelery(app)
        assert isinstance(celery.tasks["saga_celery.coordinate"], celery.Task)
        assert celery.Task.__call__.__qualname__.startswith("celery_init_app")


class TestDatabase:
    def test_it_is_that_of_flask_sqlalchemy(self, tmp_path):
        app = bare()
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
        db = SQLAlchemy(app)
        celery_init_app(app)
        SagaCelery(app)
        assert app.extensions["saga_celery"].settings.database_url == f"sqlite:///{tmp_path / 'instance' / 'shop.db'}"
        with app.app_context():
            db.engine.dispose()

    def test_a_password_stays_in_it(self):
        app = bare()
        app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg://ann:s3cret@db.example/shop"
        SQLAlchemy(app)
        celery_init_app(app)
        SagaCelery(app)
        assert "s3cret" in app.extensions["saga_celery"].settings.database_url

    @pytest.mark.parametrize("url", ["sqlite:///elsewhere.db", ""])
    def test_what_is_configured_wins(self, url):
        app = bare(saga_database_url=url)
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
        SQLAlchemy(app)
        celery_init_app(app)
        SagaCelery(app)
        assert app.extensions["saga_celery"].settings.database_url == url

    def test_a_database_in_memory_is_nobody_elses(self):
        app = bare()
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///:memory:"
        SQLAlchemy(app)
        celery_init_app(app)
        SagaCelery(app)
        assert not app.extensions["saga_celery"].has_store

    def test_binds_alone_say_nothing_of_it(self):
        app = bare()
        app.config["SQLALCHEMY_BINDS"] = {"other": "sqlite:///other.db"}
        SQLAlchemy(app)
        celery_init_app(app)
        SagaCelery(app)
        assert not app.extensions["saga_celery"].has_store


class TestAutodiscover:
    @pytest.mark.parametrize("autodiscover", ["larder", ["larder"]])
    def test_the_module_sagas_of_a_package_is_imported(self, package, autodiscover):
        (package / "sagas.py").touch()
        SagaCelery(with_celery(), autodiscover=autodiscover)
        assert "larder.sagas" in sys.modules

    def test_it_is_imported_when_the_app_has_its_sagas(self, package):
        (package / "sagas.py").write_text("from saga_celery.definition.desk import current_desk\ncurrent_desk()\n")
        SagaCelery(with_celery(), autodiscover=["larder"])

    @pytest.mark.usefixtures("package")
    @pytest.mark.parametrize("name", ["larder", "cellar"])
    def test_a_module_that_is_not_there_is_named(self, name):
        with pytest.raises(NotConfigured, match=rf"there is no module {name}\.sagas; write it, or take '{name}'"):
            SagaCelery(with_celery(), autodiscover=[name])

    def test_what_a_module_lacks_itself_is_its_own_error(self, package):
        (package / "sagas.py").write_text("import no_such_module_of_ours")
        with pytest.raises(ModuleNotFoundError, match="no_such_module_of_ours"):
            SagaCelery(with_celery(), autodiscover=["larder"])
