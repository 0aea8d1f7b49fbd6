"""How Django's admin shows sagas, and lets some people operate them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from saga_celery.app import SagaApp
from saga_celery.contrib import console
from saga_celery.contrib.django.admin import search
from saga_celery.contrib.django.admin.bulk import ACTIONS, ReasonForm
from saga_celery.contrib.django.admin.change_list import FirstPages, SagaChangeList
from saga_celery.contrib.django.admin.columns import COLUMNS
from saga_celery.contrib.django.admin.console import SagaConsole
from saga_celery.contrib.django.admin.filters import AttentionFilter, NameFilter, StartedFilter, StateFilter
from saga_celery.contrib.django.admin.forms import Form, form_from, shown_again
from saga_celery.contrib.django.admin.page import actions, page_of, shown
from saga_celery.contrib.django.routers import saga_alias
from saga_celery.errors import NotConfigured, SagaError, SagaNotFound

VIEW, OPERATE = "saga_celery.view_saga", "saga_celery.operate_saga"
_LOOKUPS = ("attention", "state", "name", "created_at__gte", "created_at__lt")
_READ = ("id", "name", "key", "state", "suspended", "overdue", "created_at")


class SagaAdmin(admin.ModelAdmin):
    """A list to look at, and a page of each saga with what its state allows to be done.

    To see needs `saga_celery.view_saga`, to act `saga_celery.operate_saga` as well. Nobody adds, changes or deletes.
    """

    list_display = COLUMNS
    list_filter = (AttentionFilter, StateFilter, NameFilter, ("created_at", StartedFilter))
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering = ("-created_at", "-id")
    sortable_by = ()
    search_fields = ("id",)  # shows the box; what is looked for is said in `get_search_results`
    search_help_text = search.HELP
    paginator = FirstPages
    actions = ACTIONS
    action_form = ReasonForm

    class Media:
        css = {"all": ("saga_celery/admin.css",)}  # noqa: RUF012 - as Django wants it

    # --------------------------------------------------------------------------------------------------- permissions

    def has_module_permission(self, request: Any) -> bool:
        """Sagas are named on the first page to those who may see them."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        """The permission to view; nobody has it where Django does not know the database of the sagas."""
        return _is_reachable() and bool(request.user.has_perm(VIEW))

    def has_operate_permission(self, request: Any) -> bool:
        """Whether sagas may be operated; nobody may unless that permission is given."""
        return self.has_view_permission(request) and bool(request.user.has_perm(OPERATE))

    def has_add_permission(self, request: Any) -> bool:
        """Sagas are started by code."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Only the library writes their rows."""
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Nor does it forget them for a person."""
        return False

    # ---------------------------------------------------------------------------------------------------------- list

    def get_queryset(self, request: Any) -> Any:
        """The sagas, wherever they are, without their large columns."""
        return self.model.objects.using(saga_alias()).only(*_READ).order_by(*self.ordering)

    def get_changelist(self, request: Any, **kwargs: Any) -> Any:
        """The list that knows the other tables."""
        return SagaChangeList

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        """The list, and where what is ticked is sent to."""
        if request.method == "POST" and not self.has_operate_permission(request):
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By id, key or tags."""
        text = search_term.strip()
        return (search.found_by(queryset, text) if text else queryset), False

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """None but those of the filters: by any other one could guess at values that are not shown."""
        return lookup in _LOOKUPS

    # ---------------------------------------------------------------------------------------------------------- page

    def get_urls(self) -> list[Any]:
        """Those of every admin, and the console's; what is done is a transaction of its own, not one of the request."""
        urls: list[Any] = [*SagaConsole(self).urls, *super().get_urls()]
        for url in urls:
            for alias in connections:
                transaction.non_atomic_requests(using=alias)(url.callback)
        return urls

    def change_view(self, request: Any, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The page of a saga, and where its forms are sent to."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        saga_id = unquote(object_id)
        try:
            return self._act(request, saga_id) if request.method == "POST" else self._page(request, saga_id)
        except SagaNotFound as missing:
            raise Http404(str(missing)) from missing

    def history_view(self, request: Any, object_id: str, extra_context: Any = None) -> Any:
        """The history is on the page."""
        return HttpResponseRedirect(f"{self._url(request, unquote(object_id))}#history")

    def _act(self, request: Any, saga_id: str) -> Any:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        form = form_from(request.POST)
        if form is None:
            return self._page(request, saga_id, problem="There is no such action.", status=HTTPStatus.BAD_REQUEST)
        if not form.is_valid():
            return self._page(request, saga_id, refused=form, status=HTTPStatus.BAD_REQUEST)
        verb, actor = form.cleaned_data["verb"], request.user.get_username()
        try:
            done = console.act(SagaApp.current(), saga_id, verb, form.body(), actor=actor)
        except SagaNotFound:
            raise
        except SagaError as error:
            status = console.problem(error).status
            return self._page(request, saga_id, refused=form, problem=str(error), status=status)
        messages.success(request, f"{verb}: the saga is {done['state']}.")
        return HttpResponseRedirect(self._url(request, saga_id))

    def _page(
        self, request: Any, saga_id: str, *, refused: Form | None = None, problem: str = "", status: int = HTTPStatus.OK
    ) -> Any:
        page = page_of(SagaApp.current(), saga_id)
        record = page["record"]
        again = refused and shown_again(refused, record["version"])
        context = {
            **self.admin_site.each_context(request),
            **page,
            "title": f"{record['name']} {record['key'] or record['id']}",
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "values": [(title, shown(record[title])) for title in ("input", "result")],
            "actions": actions(record, again) if self.has_operate_permission(request) else (),
            "problem": problem,
            "relatives": self._relatives(request, record),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/saga_celery/saga/page.html", context, status=status)

    def _relatives(self, request: Any, record: Any) -> list[dict[str, Any]]:
        """The parent and the children, with the way to them."""
        parent = [{**record["parent"], "role": "parent"}] if record["parent"] else []
        children = [{**child, "role": "child"} for child in record["children"]]
        return [{**each, "url": self._url(request, each["id"])} for each in (*parent, *children)]

    def _url(self, request: Any, saga_id: str) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return str(reverse(name, args=(quote(saga_id),), current_app=self.admin_site.name))


def _is_reachable() -> bool:
    """Whether the sagas are in a database of Django's."""
    try:
        return SagaApp.current().framework_database is not None
    except NotConfigured:
        return False
