"""Which stuck sagas were told of, and when each worker last swept."""

from django.db import migrations

from saga_celery.contrib.django.fields import Name, Number, Time
from saga_celery.contrib.django.operations import Stamp


class Migration(migrations.Migration):
    """The tables, at the version that the store calls 0008."""

    initial = True  # so that `--fake-initial` adopts tables that `saga migrate` made at this version
    dependencies = (("saga_celery", "0002_operate_saga"),)

    operations = (
        migrations.CreateModel(
            name="SagaStuck",
            fields=[
                ("saga_id", Name(max_length=36, primary_key=True, serialize=False)),
                ("step", Name(max_length=200)),
                ("item", Number()),
                ("direction", Name(max_length=32)),
                ("attempt", Number()),
                ("reason", Name(max_length=32)),
                ("since", Time()),
            ],
            options={
                "verbose_name": "stuck saga",
                "db_table": "saga_stuck",
            },
        ),
        migrations.AddField(model_name="sagaworker", name="swept_at", field=Time(null=True)),
        Stamp("0008", before="0007"),
    )
