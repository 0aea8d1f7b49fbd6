"""The pages of the shop."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from saga_celery import Refused
from workers.shop.orders.checkout import PriceChanged, decide, place_order
from workers.shop.orders.forms import OrderForm
from workers.shop.orders.models import Order, Product
from workers.shop.orders.progress import progress_of

LATEST = 10


@require_http_methods(["GET", "HEAD", "POST"])
def counter(request: HttpRequest) -> HttpResponse:
    """The shelf and the order form; a good order leads to its own page."""
    form = OrderForm(request.POST or None)
    if form.is_valid() and (order := _placed(form)):
        return redirect(order)
    products = list(Product.objects.all())
    shown = {
        "form": form,
        "products": products,
        "prices": {product.pk: product.cents for product in products},
        "latest": Order.objects.select_related("product").order_by("-pk")[:LATEST],
    }
    return render(request, "orders/counter.html", shown, status=409 if form.is_bound else 200)


def _placed(form: OrderForm) -> Order | None:
    """The order that was stored, with its saga; None: the form says why there is neither."""
    wanted = form.cleaned_data
    try:
        return place_order(
            product=wanted["product"],
            quantity=wanted["quantity"],
            customer=wanted["customer"],
            card=wanted["card"],
            seen_cents=wanted["price"],
        )
    except PriceChanged as changed:
        form.add_error("product", str(changed))
        return None


@require_GET
def order_page(request: HttpRequest, order: int) -> HttpResponse:
    """An order and its saga, which the page's script then follows."""
    found = _order(order)
    return render(request, "orders/order.html", {"order": found, "progress": progress_of(found)})


@require_GET
@never_cache
def progress(request: HttpRequest, order: int) -> JsonResponse:
    """What the script asks for again and again."""
    return JsonResponse(progress_of(_order(order)))


@require_POST
@login_required
def verdict(request: HttpRequest, order: int) -> HttpResponse:
    """The approval button, and the one beside it."""
    if not request.user.is_staff:
        raise PermissionDenied("only a member of staff decides on orders")
    found = _order(order)
    try:
        said = decide(found, ok=request.POST.get("ok") == "yes", by=request.user.get_username())
    except Refused:
        messages.error(request, "There is nothing left to decide: the order has ended.")
    else:
        messages.info(request, f"{'Approved' if said.ok else 'Rejected'} by {said.by}.")
    return redirect(found)


def _order(number: int) -> Order:
    found: Order = get_object_or_404(Order.objects.select_related("product"), pk=number)
    return found
