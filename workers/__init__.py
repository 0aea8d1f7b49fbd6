"""The living deployment: sagas, a coordinator, and the services that take part in them.

Every service is a Celery application of its own, with its own queue and its own database; none sees the sagas'
database. `python -m workers.demo` runs all of it on one machine. `workers.shop` is a Django project of its own.
"""
