"""The barrier's table."""

from django.db import migrations, models

from saga_celery.contrib.django.fields import LongText, Name, Number, Time


class Migration(migrations.Migration):
    """The one table."""

    initial = True
    dependencies = ()

    operations = [
        migrations.CreateModel(
            name="BarrierSlot",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id",
                        "step",
                        "item",
                        "generation",
                        "direction",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("saga_id", Name(max_length=64)),
                ("step", Name(max_length=200)),
                ("item", Number()),
                ("generation", Number()),
                ("direction", Name(max_length=32)),
                ("state", Name(max_length=32)),
                ("barred_attempts", Number(null=True)),
                ("result", LongText(null=True)),
                ("failure", LongText(null=True)),
                ("created_at", Time()),
                ("not_after", Time(null=True)),
            ],
            options={
                "verbose_name": "slot",
                "db_table": "saga_barrier",
                "indexes": [models.Index(fields=["created_at"], name="ix_saga_barrier_created_at")],
            },
        ),
    ]
