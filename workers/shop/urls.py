"""The addresses of the project."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("", include("workers.shop.orders.urls")),
    path("login/", LoginView.as_view(template_name="orders/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
