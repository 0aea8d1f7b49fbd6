"""The tables of the shop; made by `makemigrations`."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies: list[Any] = []

    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("customer", models.CharField(max_length=60)),
                ("quantity", models.PositiveIntegerField()),
                ("cents", models.PositiveIntegerField()),
                ("parcel", models.CharField(blank=True, max_length=60)),
                ("placed_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60, unique=True)),
                ("cents", models.PositiveIntegerField()),
                ("in_stock", models.PositiveIntegerField()),
            ],
            options={
                "ordering": ("cents",),
            },
        ),
        migrations.CreateModel(
            name="Charge",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("cents", models.PositiveIntegerField()),
                ("card_ending", models.CharField(max_length=4)),
                ("refunded", models.BooleanField(default=False)),
                ("order", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, to="orders.order")),
            ],
        ),
        migrations.AddField(
            model_name="order",
            name="product",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="orders.product"),
        ),
        migrations.CreateModel(
            name="Verdict",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ok", models.BooleanField()),
                ("by", models.CharField(max_length=150)),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("order", models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, to="orders.order")),
            ],
        ),
    ]
