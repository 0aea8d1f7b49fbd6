"""What is asked before something is done to a saga: a form for each verb."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from django import forms
from django.core.exceptions import ValidationError

from saga_celery.contrib import console


class JsonField(forms.CharField):
    """A JSON value; nothing typed is None, which `null` is, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "spellcheck": "false"}), **options)

    def clean(self, value: Any) -> Any:
        """Read it."""
        text = super().clean(value)
        if not text:
            return None
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as problem:
            raise ValidationError(f"This is no JSON: {problem}") from problem


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


class _Asked(forms.Form):
    """What every verb is sent with: the saga as the person saw it, and where."""

    verb = forms.CharField(widget=forms.HiddenInput)
    step = forms.CharField(widget=forms.HiddenInput, required=False)
    expected_version = forms.IntegerField(widget=forms.HiddenInput)

    def body(self) -> dict[str, Any]:
        """As `console.act` wants it, once the form is valid."""
        return {name: value for name, value in self.cleaned_data.items() if name != "verb" and value is not None}


class _Reasoned(_Asked):
    reason = forms.CharField(
        widget=forms.TextInput(attrs={"size": 60}),
        help_text="Kept in the history of the saga, with your name.",
        error_messages={"required": "Say why: the reason is kept in the history of the saga."},
    )


class _Skip(_Reasoned):
    result = JsonField(
        required=False,
        label="Result, as JSON",
        help_text="What the step would have returned, where later steps take it.",
    )


class _Resolve(_Reasoned):
    resolution = forms.ChoiceField(
        required=False,
        label="It is",
        choices=(("", "—"), ("done", "done: it took effect"), ("never", "never: it did not, and will not")),
    )
    result = JsonField(required=False, label="Result, as JSON", help_text="Of a step that is done.")

    field_order = ("resolution", "result", "reason")


class _Send(_Asked):
    """The event speaks for itself: it is kept in the history, with the name of who sent it."""

    event = JsonField(label="Event, as JSON", error_messages={"required": "Say what to answer, as JSON."})


_FORMS: Mapping[str, type[_Asked]] = {"skip": _Skip, "resolve": _Resolve, "send": _Send}

Form = _Asked


def form_for(verb: str, step: str, version: int) -> Form:
    """An empty form.

    Args:
        verb: one of `console.VERBS`.
        step: which step, or wait, it is about; empty: the saga.
        version: of the saga that is shown.
    """
    known = {"verb": verb, "step": step, "expected_version": version}
    return _FORMS.get(verb, _Reasoned)(initial=known, auto_id=_ids(verb, step))


def form_from(posted: Mapping[str, Any]) -> Form | None:
    """The form that was sent; None: there is no such verb.

    Args:
        posted: the fields of the request.
    """
    verb = str(posted.get("verb", ""))
    if verb not in console.VERBS:
        return None
    return _FORMS.get(verb, _Reasoned)(posted, auto_id=_ids(verb, str(posted.get("step", ""))))


def shown_again(form: Form, version: int) -> Form:
    """The same form with what was typed into it, about the saga as it is shown now.

    Args:
        form: one that was refused.
        version: of the saga that is shown.
    """
    form.data = {**form.data.dict(), "expected_version": str(version)}
    return form


def _ids(verb: str, step: str) -> str:
    return f"id_{verb}_{step}_%s"
