"""The filters beside the list. None of them reads more than an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import DateFieldListFilter, SimpleListFilter
from django.db import connections

from saga_celery.contrib.django.admin.names import saga_names
from saga_celery.contrib.django.models import SagaDeadLetter
from saga_celery.core.states import SagaStatus
from saga_celery.store.queries import MAY_BE_SUSPENDED

Choices = Sequence[tuple[str, str]]


class StateFilter(SimpleListFilter):
    """By state."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> Choices:
        """All states."""
        return [(each.value, each.value) for each in SagaStatus]

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Those in the state."""
        return queryset if self.value() is None else queryset.filter(state=self.value())


class NameFilter(SimpleListFilter):
    """By name."""

    title = "name"
    parameter_name = "name"

    def lookups(self, request: Any, model_admin: Any) -> Choices:
        """Every name that a saga has."""
        names = saga_names(connections[model_admin.get_queryset(request).db])
        return [(name, name) for name in names]

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Those of the name."""
        return queryset if self.value() is None else queryset.filter(name=self.value())


class AttentionFilter(SimpleListFilter):
    """What waits for a person."""

    title = "needs attention"
    parameter_name = "attention"

    def lookups(self, request: Any, model_admin: Any) -> Choices:
        """What it may wait for."""
        return [("letters", "Has dead letters"), ("suspended", "Is suspended")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Those that do."""
        if self.value() == "letters":
            return queryset.filter(pk__in=SagaDeadLetter.objects.using(queryset.db).values("saga_id"))
        if self.value() == "suspended":
            return queryset.filter(suspended=True, state__in=MAY_BE_SUSPENDED)
        return queryset


class StartedFilter(DateFieldListFilter):
    """By the day of the start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "started"
