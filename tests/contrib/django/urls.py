"""The URLs of the shop: Django's admin, as `startproject` has it."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
