"""Sagas can be looked at and operated; nobody adds, changes or deletes them by hand. No table changes."""

from django.db import migrations


class Migration(migrations.Migration):
    """The permissions that the admin asks for."""

    dependencies = (("saga_celery", "0001_initial"),)

    operations = (
        migrations.AlterModelOptions(
            name="saga",
            options={
                "default_permissions": ("view",),
                "permissions": (("operate_saga", "Can operate sagas: retry, skip, cancel, resolve, send …"),),
                "verbose_name": "saga",
            },
        ),
    )
