"""Hooks as they are declared, on a class and in the settings."""

import pytest
from celery import Celery
from celery.canvas import Signature

from saga_celery import NotConfigured, SagaApp
from saga_celery.definition import Saga, desk, step
from saga_celery.errors import DefinitionError


def saga_with(declared):
    class Hooked(Saga[int]):
        name = "shop.hooked"
        hooks = declared

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[None]: ...

    return Hooked


def test_a_name_or_several_for_each_event():
    declared = {"saga_failed": "ops.page", "saga_completed": ["crm.note", "crm.bill", "crm.note"]}
    assert saga_with(declared).definition().hooks == {
        "saga_failed": ("ops.page",),
        "saga_completed": ("crm.note", "crm.bill"),
    }


def test_none_by_default():
    class Plain(Saga[int]):
        name = "shop.plain"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[None]: ...

    assert Plain.definition().hooks == {}


WRONG = [
    ("ops.page", '\'ops.page\' is no dict of hooks; write for example {"saga_failed": "ops.page"}'),
    ({"saga_fialed": "ops.page"}, "there is no event 'saga_fialed'; did you mean 'saga_failed'?"),
    ({7: "ops.page"}, "there is no event 7; there are: saga_started, saga_completed"),
    ({"saga_failed": 7}, 'saga_failed: 7; write the name of a task, as in "ops.page", or a list of names'),
    ({"saga_failed": [len]}, "saga_failed: <built-in function len>; write the name of the task"),
    ({"saga_failed": ""}, "saga_failed: ''; the name of a task is printable text of 1 to 200 characters"),
    ({"saga_failed": "x" * 201}, "is printable text of 1 to 200 characters"),
    ({"saga_failed": "ops\n"}, "is printable text of 1 to 200 characters"),
]


@pytest.mark.parametrize(("declared", "problem"), WRONG)
def test_a_wrong_declaration_fails_at_import_and_says_what_to_write(declared, problem):
    with pytest.raises(DefinitionError) as refused:
        saga_with(declared)
    assert str(refused.value).startswith(f"{saga_with.__qualname__}.<locals>.Hooked.hooks: ")
    assert problem in str(refused.value)


@pytest.mark.parametrize(("declared", "problem"), WRONG[1:])
def test_a_wrong_setting_says_what_to_write(monkeypatch, declared, problem):
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("wrong", set_as_current=False)
    app.conf.saga_hooks = declared
    with pytest.raises(NotConfigured) as refused:
        _ = SagaApp(app).settings
    assert str(refused.value).startswith("saga_hooks: ")
    assert problem in str(refused.value)


def test_a_setting_that_is_no_dict(monkeypatch):
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("wrong", set_as_current=False)
    app.conf.saga_hooks = "ops.page"
    with pytest.raises(NotConfigured, match=r"saga_hooks='ops\.page': expected Mapping"):
        _ = SagaApp(app).settings


def test_no_step_is_called_hooks():
    with pytest.raises(DefinitionError, match=r"Bad\.hooks: is a reserved name"):

        class Bad(Saga[int]):
            name = "shop.bad"

            @step(no_compensation="x")
            def hooks(self, n: int) -> Signature[None]: ...
