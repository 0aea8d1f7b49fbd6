"""The order form."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from workers.shop.orders.models import Product

CARD = re.compile(r"\d{16}")


class OrderForm(forms.Form):
    """What a customer fills in. `price` is the price that stood on the page, so that nobody pays another one."""

    product = forms.ModelChoiceField(Product.objects.all(), empty_label=None)
    quantity = forms.IntegerField(min_value=1, max_value=99, initial=1)
    customer = forms.CharField(max_length=60)
    card = forms.CharField(max_length=19, label="Card number", widget=forms.TextInput({"inputmode": "numeric"}))
    price = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean_card(self) -> str:
        """Sixteen digits, written as on the card or without spaces."""
        number = str(self.cleaned_data["card"]).replace(" ", "")
        if not CARD.fullmatch(number):
            raise forms.ValidationError("A card number has 16 digits.")
        return number

    def clean(self) -> dict[str, Any]:
        """Enough on the shelf, as far as anybody knows now; the saga's first step makes sure."""
        cleaned: dict[str, Any] = super().clean()
        product, quantity = cleaned.get("product"), cleaned.get("quantity")
        if product and quantity and product.in_stock < quantity:
            self.add_error("quantity", f"Only {product.in_stock} in stock.")
        return cleaned
