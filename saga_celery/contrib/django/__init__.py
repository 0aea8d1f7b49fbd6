"""Sagas in a Django project: `INSTALLED_APPS = [..., "saga_celery.contrib.django"]`; see docs/django.md.

`framework` is bound to the app when Django is ready; it knows the saga `database`, whose `address` the workers' own
connections use, and whose `transactions` starts and messages join by means of an `executor` on Django's cursor. The
tables are `models` with Django's own migrations, made of the `fields` that SQLAlchemy's schema asks for.
"""
