"""The list: one page of it, read with as many queries as any other page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Count

from saga_celery.app import SagaApp
from saga_celery.app.reading import words
from saga_celery.app.reading.durations import spoken
from saga_celery.contrib.console import look
from saga_celery.contrib.django.models import SagaDeadLetter, SagaStep, SagaTag
from saga_celery.core.states import StepStatus

MOST = 1000
"""Rows that are counted, and can be paged through; to see older ones, narrow the list down."""
_SETTLED = [status.value for status in StepStatus if look(status) in ("done", "undone")] + [
    StepStatus.FAILED.value,
    StepStatus.GIVEN_UP.value,
    StepStatus.REOPENED.value,
]


class FirstPages(Paginator):
    """Pages of the first `MOST` rows. To count all of them would read all of them, for every page."""

    @cached_property
    def counted(self) -> int:
        """How many there are, or one more than `MOST`."""
        return int(self.object_list.order_by().values("pk")[: MOST + 1].count())

    @cached_property
    def count(self) -> int:
        """How many can be paged through."""
        return min(self.counted, MOST)

    @property
    def left_out(self) -> bool:
        """Whether there are more."""
        return self.counted > MOST

    @property
    def most(self) -> int:
        """For the sentence that says so."""
        return MOST


class SagaChangeList(ChangeList):
    """Gives the rows of a page what the other tables know of them: `tags`, `steps`, `letters` and `age`."""

    result_list: Any

    def get_results(self, request: Any) -> None:
        """Read the page."""
        super().get_results(request)
        page: list[Any] = list(self.result_list)
        ids, alias = [saga.pk for saga in page], self.root_queryset.db
        tags, steps, letters = _tags(alias, ids), _steps(alias, ids), _letters(alias, ids)
        now = SagaApp.current().store.queries.now()
        for saga in page:
            saga.tags, saga.steps, saga.letters = tags[saga.pk], steps[saga.pk], letters.get(saga.pk, 0)
            saga.age = spoken((now - saga.created_at).total_seconds())
        self.result_list = page


def _tags(alias: str, ids: Sequence[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    rows = SagaTag.objects.using(alias).filter(saga_id__in=ids).order_by("saga_id", "name")
    for saga_id, name, value in rows.values_list("saga_id", "name", "value"):
        found[saga_id].append(f"{name}={value}")
    return found


def _steps(alias: str, ids: Sequence[str]) -> Mapping[str, list[str]]:
    """Those that are under way or parked; of a list of items the step as a whole."""
    found: dict[str, list[str]] = defaultdict(list)
    rows = SagaStep.objects.using(alias).filter(saga_id__in=ids, item=0).exclude(status__in=_SETTLED)
    for saga_id, step, status in rows.order_by("start_order").values_list("saga_id", "step", "status"):
        found[saga_id].append(f"{step}: {words.status(StepStatus(status))}")
    return found


def _letters(alias: str, ids: Sequence[str]) -> Mapping[str, int]:
    rows = SagaDeadLetter.objects.using(alias).filter(saga_id__in=ids).order_by()
    return dict(rows.values("saga_id").annotate(letters=Count("step")).values_list("saga_id", "letters"))
