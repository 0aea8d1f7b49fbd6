"""The table of `saga_celery.store.barrier.table` as a model. Only the barrier writes it."""

from __future__ import annotations

from django.db import models

from saga_celery.contrib.django.fields import LongText, Name, Number, Time
from saga_celery.store.barrier.table import SAGA_ID, STEP
from saga_celery.store.columns import WORD


class BarrierSlot(models.Model):
    """What became of one message of a saga in this database."""

    pk = models.CompositePrimaryKey("saga_id", "step", "item", "generation", "direction")
    saga_id = Name(max_length=SAGA_ID)
    step = Name(max_length=STEP)
    item = Number()
    generation = Number()
    direction = Name(max_length=WORD)
    state = Name(max_length=WORD)
    barred_attempts = Number(null=True)
    result = LongText(null=True)
    failure = LongText(null=True)
    created_at = Time()
    not_after = Time(null=True)

    class Meta:
        db_table = "saga_barrier"
        verbose_name = "slot"
        indexes = (models.Index(fields=["created_at"], name="ix_saga_barrier_created_at"),)
