"""The indexes of sagas without the ids at their ends."""

from django.db import migrations, models

from saga_celery.contrib.django.operations import Stamp


class Migration(migrations.Migration):
    """The tables, at the version that the store calls 0009."""

    dependencies = (("saga_celery", "0003_stuck"),)

    operations = (
        migrations.RemoveIndex(model_name="saga", name="saga_by_state"),
        migrations.RemoveIndex(model_name="saga", name="saga_by_name"),
        migrations.RemoveIndex(model_name="saga", name="saga_by_time"),
        migrations.AddIndex("saga", models.Index(fields=["state", "created_at"], name="saga_by_state")),
        migrations.AddIndex("saga", models.Index(fields=["name", "created_at"], name="saga_by_name")),
        migrations.AddIndex("saga", models.Index(fields=["created_at"], name="saga_by_time")),
        Stamp("0009", before="0008"),
    )
