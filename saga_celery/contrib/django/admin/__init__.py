"""Sagas in Django's admin: a list with filters and search, and a page of each saga with what can be done about it.

Django imports this module where `django.contrib.admin` is installed, and only there. Rows are never changed through
the admin; who has the permission `saga_celery.operate_saga` can ask things of sagas, with a reason.
"""

from django.contrib import admin

from saga_celery.contrib.django.admin.saga_admin import SagaAdmin
from saga_celery.contrib.django.models import Saga

admin.site.register(Saga, SagaAdmin)

__all__ = ["SagaAdmin"]
