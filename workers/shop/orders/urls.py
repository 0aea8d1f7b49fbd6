"""The addresses of the shop."""

from __future__ import annotations

from django.urls import path

from workers.shop.orders import views

app_name = "orders"
urlpatterns = [
    path("", views.counter, name="counter"),
    path("orders/<int:order>/", views.order_page, name="order"),
    path("orders/<int:order>/progress/", views.progress, name="progress"),
    path("orders/<int:order>/verdict/", views.verdict, name="verdict"),
]
