"""The tables of release 0.1, all at once."""

from django.db import migrations, models

from saga_celery.contrib.django.fields import Flag, LargeNumber, LongText, Name, Number, Seconds, Time
from saga_celery.contrib.django.operations import Stamp


class Migration(migrations.Migration):
    """The tables, at the version that the store calls 0007."""

    initial = True
    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="SagaGate",
            fields=[
                ("number", Number(primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name": "gate",
                "db_table": "saga_gate",
            },
        ),
        migrations.CreateModel(
            name="SagaHistory",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id", "version", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("saga_id", Name(max_length=36)),
                ("version", Number()),
                ("at", Time()),
                ("facts", LongText()),
                ("actor", Name(max_length=200, null=True)),
            ],
            options={
                "verbose_name": "transition",
                "db_table": "saga_history",
            },
        ),
        migrations.CreateModel(
            name="SagaInbox",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("saga_id", Name(max_length=36)),
                ("id", Name(max_length=200)),
                ("body", LongText()),
                ("at", Time()),
                ("taken", Flag()),
            ],
            options={
                "verbose_name": "news",
                "verbose_name_plural": "news",
                "db_table": "saga_inbox",
            },
        ),
        migrations.CreateModel(
            name="SagaKey",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "name", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", Name(max_length=200)),
                ("key", Name(max_length=200)),
                ("saga_id", Name(max_length=36)),
                ("input_hash", Name(max_length=64)),
            ],
            options={
                "verbose_name": "key",
                "db_table": "saga_key",
            },
        ),
        migrations.CreateModel(
            name="SagaPause",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "kind", "name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", Name(max_length=32)),
                ("name", Name(max_length=200)),
                ("since", Time()),
                ("actor", Name(max_length=200)),
                ("reason", LongText()),
            ],
            options={
                "verbose_name": "pause",
                "db_table": "saga_pause",
            },
        ),
        migrations.CreateModel(
            name="SagaPayload",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id", "digest", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("saga_id", Name(max_length=36)),
                ("digest", Name(max_length=64)),
                ("body", LongText()),
            ],
            options={
                "verbose_name": "payload",
                "db_table": "saga_payload",
            },
        ),
        migrations.CreateModel(
            name="SagaPlan",
            fields=[
                ("hash", Name(max_length=64, primary_key=True, serialize=False)),
                ("body", LongText()),
            ],
            options={
                "verbose_name": "plan",
                "db_table": "saga_plan",
            },
        ),
        migrations.CreateModel(
            name="SagaStep",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id", "step", "item", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("saga_id", Name(max_length=36)),
                ("step", Name(max_length=200)),
                ("item", Number()),
                ("status", Name(max_length=32)),
                ("start_order", Number()),
                ("result", LongText(null=True)),
                ("activities", LongText()),
            ],
            options={
                "verbose_name": "step",
                "db_table": "saga_step",
            },
        ),
        migrations.CreateModel(
            name="SagaWorker",
            fields=[
                ("id", Name(max_length=255, primary_key=True, serialize=False)),
                ("beat_at", Time()),
                ("attempts", LongText()),
            ],
            options={
                "verbose_name": "worker",
                "db_table": "saga_worker",
            },
        ),
        migrations.CreateModel(
            name="Saga",
            fields=[
                ("id", Name(max_length=36, primary_key=True, serialize=False)),
                ("name", Name(max_length=200)),
                ("key", Name(max_length=200, null=True)),
                ("state", Name(max_length=32)),
                ("version", Number()),
                ("plan_hash", Name(max_length=64)),
                ("input", LongText(null=True)),
                ("result", LongText(null=True)),
                ("turn", LongText(null=True)),
                ("parked_from", Name(max_length=32, null=True)),
                ("suspended", Flag()),
                ("overdue", Flag()),
                ("headers", LongText()),
                ("mail", LongText(null=True)),
                ("parent", LongText(null=True)),
                ("parent_id", Name(max_length=36, null=True)),
                ("created_at", Time()),
                ("updated_at", Time()),
                ("ended_at", Time(null=True)),
                ("deadline_at", Time(null=True)),
                ("priority", Number(null=True)),
                ("gated", Flag(null=True)),
                ("lock", Name(max_length=200, null=True)),
                ("starts_at", Time(null=True)),
            ],
            options={
                "verbose_name": "saga",
                "db_table": "saga",
                "indexes": [
                    models.Index(fields=["state", "created_at", "id"], name="saga_by_state"),
                    models.Index(fields=["name", "created_at", "id"], name="saga_by_name"),
                    models.Index(fields=["created_at", "id"], name="saga_by_time"),
                    models.Index(fields=["parent_id"], name="saga_by_parent"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SagaAwaited",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id",
                        "step",
                        "item",
                        "direction",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("saga_id", Name(max_length=36)),
                ("step", Name(max_length=200)),
                ("item", Number()),
                ("direction", Name(max_length=32)),
                ("generation", Number()),
                ("awaited", Name(max_length=32)),
                ("due_at", Time()),
                ("attempt", Number()),
                ("epoch", Number()),
                ("worker", Name(max_length=255)),
                ("timeout", Seconds()),
                ("resends", Number()),
                ("failures", Number()),
                ("since", Time()),
                ("version", Number()),
            ],
            options={
                "verbose_name": "wait",
                "db_table": "saga_awaited",
                "indexes": [models.Index(fields=["due_at"], name="ix_saga_awaited_due_at")],
            },
        ),
        migrations.CreateModel(
            name="SagaDeadLetter",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id",
                        "step",
                        "item",
                        "direction",
                        "generation",
                        "attempt",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("saga_id", Name(max_length=36)),
                ("step", Name(max_length=200)),
                ("item", Number()),
                ("direction", Name(max_length=32)),
                ("generation", Number(db_default=1)),
                ("attempt", Number(db_default=0)),
                ("reason", Name(max_length=32)),
                ("detail", LongText()),
                ("result", LongText(null=True)),
                ("since", Time()),
                ("place", LargeNumber()),
            ],
            options={
                "verbose_name": "dead letter",
                "db_table": "saga_dead_letter",
                "indexes": [models.Index(fields=["since"], name="ix_saga_dead_letter_since")],
            },
        ),
        migrations.CreateModel(
            name="SagaDelivery",
            fields=[
                ("id", Name(max_length=36, primary_key=True, serialize=False)),
                ("saga_id", Name(max_length=36)),
                ("event", Name(max_length=32)),
                ("task", Name(max_length=200)),
                ("payload", LongText()),
                ("headers", LongText()),
                ("tries", Number()),
                ("since", Time()),
                ("due_at", Time(null=True)),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "db_table": "saga_delivery",
                "indexes": [models.Index(fields=["due_at"], name="ix_saga_delivery_due_at")],
            },
        ),
        migrations.CreateModel(
            name="SagaTag",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id", "name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("saga_id", Name(max_length=36)),
                ("name", Name(max_length=200)),
                ("value", Name(max_length=200)),
            ],
            options={
                "verbose_name": "tag",
                "db_table": "saga_tag",
                "indexes": [models.Index(fields=["name", "value", "saga_id"], name="saga_tag_by_value")],
            },
        ),
        migrations.CreateModel(
            name="SagaTicket",
            fields=[
                ("saga_id", Name(max_length=36, primary_key=True, serialize=False)),
                ("name", Name(max_length=200)),
                ("lock", Name(max_length=200, null=True)),
                ("max_running", Number(null=True)),
                ("priority", Number()),
                ("family", Name(max_length=36)),
                ("refuse", Flag()),
                ("since", Time()),
                ("place", Number()),
                ("admitted_at", Time(null=True)),
            ],
            options={
                "verbose_name": "ticket",
                "db_table": "saga_ticket",
                "indexes": [
                    models.Index(fields=["lock", "admitted_at"], name="saga_ticket_by_lock"),
                    models.Index(fields=["name", "admitted_at"], name="saga_ticket_by_name"),
                ],
            },
        ),
        Stamp("0007"),
    )
