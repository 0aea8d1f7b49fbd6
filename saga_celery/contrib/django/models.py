"""The tables of `saga_celery.store.schema` as models: to look at, to join with, to show. Only the library writes them.

What each of them holds is said there.
"""

from __future__ import annotations

from django.db import models

from saga_celery.contrib.django.fields import Flag, LargeNumber, LongBytes, LongText, Name, Number, Seconds, Time
from saga_celery.contrib.django.indexes import IndexOfValues
from saga_celery.store.columns import HASH, ID, NAME, WORD, WORKER


class Saga(models.Model):
    """One saga."""

    id = Name(max_length=ID, primary_key=True)
    name = Name(max_length=NAME)
    key = Name(max_length=NAME, null=True)
    state = Name(max_length=WORD)
    version = Number()
    plan_hash = Name(max_length=HASH)
    input = LongText(null=True)
    result = LongText(null=True)
    turn = LongText(null=True)
    parked_from = Name(max_length=WORD, null=True)
    suspended = Flag()
    overdue = Flag()
    headers = LongText()
    mail = LongText(null=True)
    parent = LongText(null=True)
    parent_id = Name(max_length=ID, null=True)
    created_at = Time()
    updated_at = Time()
    ended_at = Time(null=True)
    deadline_at = Time(null=True)
    priority = Number(null=True)
    gated = Flag(null=True)
    lock = Name(max_length=NAME, null=True)
    starts_at = Time(null=True)

    class Meta:
        db_table = "saga"
        verbose_name = "saga"
        default_permissions = ("view",)
        permissions = (("operate_saga", "Can operate sagas: retry, skip, cancel, resolve, send …"),)
        indexes = (
            models.Index(fields=["state", "created_at"], name="saga_by_state"),
            models.Index(fields=["name", "created_at"], name="saga_by_name"),
            models.Index(fields=["created_at"], name="saga_by_time"),
            models.Index(fields=["parent_id"], name="saga_by_parent"),
            IndexOfValues(fields=["name", "ended_at"], name="saga_by_end"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.key or self.id}"


class SagaStep(models.Model):
    """A step whose turn has come, or an item of one."""

    pk = models.CompositePrimaryKey("saga_id", "step", "item")
    saga_id = Name(max_length=ID)
    step = Name(max_length=NAME)
    item = Number()
    status = Name(max_length=WORD)
    start_order = Number()
    result = LongText(null=True)
    activities = LongText()

    class Meta:
        db_table = "saga_step"
        verbose_name = "step"


class SagaHistory(models.Model):
    """A transition."""

    pk = models.CompositePrimaryKey("saga_id", "version")
    saga_id = Name(max_length=ID)
    version = Number()
    at = Time()
    facts = LongText()
    actor = Name(max_length=NAME, null=True)

    class Meta:
        db_table = "saga_history"
        verbose_name = "transition"


class SagaAwaited(models.Model):
    """What a saga waits for."""

    pk = models.CompositePrimaryKey("saga_id", "step", "item", "direction")
    saga_id = Name(max_length=ID)
    step = Name(max_length=NAME)
    item = Number()
    direction = Name(max_length=WORD)
    generation = Number()
    awaited = Name(max_length=WORD)
    due_at = Time()
    attempt = Number()
    epoch = Number()
    worker = Name(max_length=WORKER)
    timeout = Seconds()
    resends = Number()
    failures = Number()
    since = Time()
    version = Number()

    class Meta:
        db_table = "saga_awaited"
        verbose_name = "wait"
        indexes = (models.Index(fields=["due_at"], name="ix_saga_awaited_due_at"),)


class SagaInbox(models.Model):
    """News left for a saga."""

    pk = models.CompositePrimaryKey("saga_id", "id")
    saga_id = Name(max_length=ID)
    id = Name(max_length=NAME)
    body = LongText()
    at = Time()
    taken = Flag()

    class Meta:
        db_table = "saga_inbox"
        verbose_name = "news"
        verbose_name_plural = "news"


class SagaPause(models.Model):
    """What is paused."""

    pk = models.CompositePrimaryKey("kind", "name")
    kind = Name(max_length=WORD)
    name = Name(max_length=NAME)
    since = Time()
    actor = Name(max_length=NAME)
    reason = LongText()

    class Meta:
        db_table = "saga_pause"
        verbose_name = "pause"


class SagaKey(models.Model):
    """Whose key it is."""

    pk = models.CompositePrimaryKey("name", "key")
    name = Name(max_length=NAME)
    key = Name(max_length=NAME)
    saga_id = Name(max_length=ID)
    input_hash = Name(max_length=HASH)

    class Meta:
        db_table = "saga_key"
        verbose_name = "key"


class SagaPlan(models.Model):
    """A graph that sagas are pinned to."""

    hash = Name(max_length=HASH, primary_key=True)
    body = LongText()

    class Meta:
        db_table = "saga_plan"
        verbose_name = "plan"


class SagaTag(models.Model):
    """A word to find a saga by."""

    pk = models.CompositePrimaryKey("saga_id", "name")
    saga_id = Name(max_length=ID)
    name = Name(max_length=NAME)
    value = Name(max_length=NAME)

    class Meta:
        db_table = "saga_tag"
        verbose_name = "tag"
        indexes = (models.Index(fields=["name", "value", "saga_id"], name="saga_tag_by_value"),)


class SagaDeadLetter(models.Model):
    """What waits for an operator."""

    pk = models.CompositePrimaryKey("saga_id", "step", "item", "direction", "generation", "attempt")
    saga_id = Name(max_length=ID)
    step = Name(max_length=NAME)
    item = Number()
    direction = Name(max_length=WORD)
    generation = Number(db_default=1)
    attempt = Number(db_default=0)
    reason = Name(max_length=WORD)
    detail = LongText()
    result = LongText(null=True)
    since = Time()
    place = LargeNumber()

    class Meta:
        db_table = "saga_dead_letter"
        verbose_name = "dead letter"
        indexes = (models.Index(fields=["since"], name="ix_saga_dead_letter_since"),)


class SagaTicket(models.Model):
    """An open saga's place at its gates."""

    saga_id = Name(max_length=ID, primary_key=True)
    name = Name(max_length=NAME)
    lock = Name(max_length=NAME, null=True)
    max_running = Number(null=True)
    priority = Number()
    family = Name(max_length=ID)
    refuse = Flag()
    since = Time()
    place = Number()
    admitted_at = Time(null=True)

    class Meta:
        db_table = "saga_ticket"
        verbose_name = "ticket"
        indexes = (
            models.Index(fields=["lock", "admitted_at"], name="saga_ticket_by_lock"),
            models.Index(fields=["name", "admitted_at"], name="saga_ticket_by_name"),
        )


class SagaGate(models.Model):
    """A mutex of those who decide who is let in."""

    number = Number(primary_key=True)

    class Meta:
        db_table = "saga_gate"
        verbose_name = "gate"


class SagaWorker(models.Model):
    """A worker's latest heartbeat."""

    id = Name(max_length=WORKER, primary_key=True)
    beat_at = Time()
    attempts = LongText()
    swept_at = Time(null=True)

    class Meta:
        db_table = "saga_worker"
        verbose_name = "worker"


class SagaStuck(models.Model):
    """A stuck saga that was told of."""

    saga_id = Name(max_length=ID, primary_key=True)
    step = Name(max_length=NAME)
    item = Number()
    direction = Name(max_length=WORD)
    attempt = Number()
    reason = Name(max_length=WORD)
    since = Time()

    class Meta:
        db_table = "saga_stuck"
        verbose_name = "stuck saga"


class SagaDelivery(models.Model):
    """What a hook has yet to be told."""

    id = Name(max_length=ID, primary_key=True)
    saga_id = Name(max_length=ID)
    event = Name(max_length=WORD)
    task = Name(max_length=NAME)
    payload = LongText()
    headers = LongText()
    tries = Number()
    since = Time()
    due_at = Time(null=True)

    class Meta:
        db_table = "saga_delivery"
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(fields=["due_at"], name="ix_saga_delivery_due_at"),
            models.Index(fields=["saga_id"], name="saga_delivery_by_saga"),
        )


class SagaPayload(models.Model):
    """A value that is kept apart."""

    pk = models.CompositePrimaryKey("saga_id", "digest")
    saga_id = Name(max_length=ID)
    digest = Name(max_length=HASH)
    body = LongText()

    class Meta:
        db_table = "saga_payload"
        verbose_name = "payload"


class SagaArchive(models.Model):
    """A saga that was archived."""

    id = Name(max_length=ID, primary_key=True)
    name = Name(max_length=NAME)
    state = Name(max_length=WORD)
    ended_at = Time()
    root_id = Name(max_length=ID, null=True)
    document = LongBytes()

    class Meta:
        db_table = "saga_archive"
        verbose_name = "archived saga"
        indexes = (
            models.Index(fields=["name", "ended_at"], name="saga_archive_by_end"),
            IndexOfValues(fields=["root_id"], name="saga_archive_by_root"),
        )
