"""What the worker is told: `celery --app workers.agency.make_celery worker`."""

from workers.agency.factory import create_app

app = create_app().extensions["celery"]
