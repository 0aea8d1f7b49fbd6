"""What can be asked of many sagas at once: those that are ticked in the list, with one reason for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm

from saga_celery.app import SagaApp
from saga_celery.contrib import console
from saga_celery.errors import SagaError, StoreUnavailable

VERBS = ("retry", "cancel", "suspend", "resume")
"""Those that need no more than a reason; `retry` gives new attempts to all that is parked."""
MOST = 200
"""Sagas at once: each is a transaction of its own, and a person waits for the page."""
MOST_TOLD = 5
"""Refusals that are told of one by one."""


class ReasonForm(ActionForm):
    """Beside the choice of what to do."""

    reason = forms.CharField(required=False, label="Reason:", widget=forms.TextInput(attrs={"size": 40}))


def _action(verb: str) -> Callable[..., None]:
    def selected(model_admin: Any, request: Any, queryset: Any) -> None:
        reason = request.POST.get("reason", "").strip()
        ids = list(queryset.values_list("pk", flat=True)[: MOST + 1])
        if not reason:
            messages.error(
                request, f"{verb}: say why, the reason is kept in the history of each saga. Nothing was done."
            )
        elif len(ids) > MOST:
            messages.error(
                request, f"{verb}: at most {MOST} at once; for more there is `saga {verb}`. Nothing was done."
            )
        else:
            _tell(request, verb, len(ids), _refusals(verb, ids, reason, request.user.get_username()))

    selected.__name__ = f"{verb}_selected"
    action: Callable[..., None] = admin.action(
        description=f"{verb.capitalize()} selected %(verbose_name_plural)s", permissions=("operate",)
    )(selected)
    return action


def _refusals(verb: str, ids: list[str], reason: str, actor: str) -> list[str]:
    """Carry it out at each; why it was not at some. When the database is away, nothing more is tried."""
    found: list[str] = []
    for at, saga_id in enumerate(ids):
        try:
            console.act(SagaApp.current(), saga_id, verb, {"reason": reason}, actor=actor)
        except StoreUnavailable as error:
            return [*found, *(str(error) for _ in ids[at:])]
        except SagaError as error:
            found.append(str(error))
    return found


def _tell(request: Any, verb: str, asked: int, refusals: list[str]) -> None:
    done = asked - len(refusals)
    if done:
        messages.success(request, f"{verb}: carried out at {done} {'saga' if done == 1 else 'sagas'}.")
    for refusal in refusals[:MOST_TOLD]:
        messages.error(request, refusal)
    if len(refusals) > MOST_TOLD:
        messages.error(request, f"{verb}: {len(refusals) - MOST_TOLD} more were refused.")


ACTIONS = tuple(_action(verb) for verb in VERBS)
