"""The Celery application of the shop, where Celery's documentation puts it."""

from __future__ import annotations

import os

from celery import Celery

from saga_celery import SagaApp

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workers.shop.settings")

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
SagaApp(app)
