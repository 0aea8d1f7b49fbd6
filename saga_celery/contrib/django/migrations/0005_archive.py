"""Sagas that have ended are found by their end, and may be archived."""

from django.db import migrations, models

from saga_celery.contrib.django.fields import LongBytes, Name, Time
from saga_celery.contrib.django.indexes import IndexOfValues
from saga_celery.contrib.django.operations import Stamp


class Migration(migrations.Migration):
    """The tables, at the version that the store calls 0010."""

    initial = True  # so that `--fake-initial` adopts tables that `saga migrate` made at this version
    dependencies = (("saga_celery", "0004_narrow_indexes"),)

    operations = (
        migrations.CreateModel(
            name="SagaArchive",
            fields=[
                ("id", Name(max_length=36, primary_key=True, serialize=False)),
                ("name", Name(max_length=200)),
                ("state", Name(max_length=32)),
                ("ended_at", Time()),
                ("root_id", Name(max_length=36, null=True)),
                ("document", LongBytes()),
            ],
            options={
                "verbose_name": "archived saga",
                "db_table": "saga_archive",
                "indexes": [
                    models.Index(fields=["name", "ended_at"], name="saga_archive_by_end"),
                    IndexOfValues(fields=["root_id"], name="saga_archive_by_root"),
                ],
            },
        ),
        migrations.AddIndex("saga", IndexOfValues(fields=["name", "ended_at"], name="saga_by_end")),
        migrations.AddIndex("sagadelivery", models.Index(fields=["saga_id"], name="saga_delivery_by_saga")),
        Stamp("0010", before="0009"),
    )
