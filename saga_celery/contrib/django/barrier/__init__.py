"""The barrier's table by Django's migrations: `INSTALLED_APPS = [..., "saga_celery.contrib.django.barrier"]`.

An app of its own: a participant needs this one table in its own database and none of the sagas', and the other way
round.
"""
