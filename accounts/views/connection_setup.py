"""Setting a connection up: which tables, which fields; then what would happen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from accounts import selectors_crm as selectors
from accounts.crm.errors import CrmError
from accounts.crm.systems import connector_class
from accounts.forms_crm import MapForm, TablesForm
from accounts.models import Connection, FieldMap
from accounts.permissions import ADMINISTRATORS, SignedIn, require_role
from accounts.services import connecting as services
from accounts.services.connecting import Sample
from accounts.services.crm import save_map
from accounts.tasks import ring_sync
from accounts.views.connections import connection_or_404


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def connection_tables(request: SignedIn, pk: int) -> HttpResponse:
    """Which tables are read, for systems that leave that to a person."""
    connection = connection_or_404(request, pk, to_work_with=True)
    if not connector_class(connection.system).has_tables:
        return redirect("accounts:connection_map", pk)
    try:
        tables = services.list_tables(connection)
    except CrmError as problem:
        messages.error(request, f"{connection.name} could not be asked for its tables. {problem}")
        return redirect("accounts:credentials", pk)
    form = TablesForm(request.POST or None, tables=tables, chosen=connection.options.get("tables", []))
    if request.method == "POST" and form.is_valid():
        try:
            services.choose_tables(connection, form.chosen, request.user)
        except CrmError as problem:
            form.add_error(None, str(problem))
        else:
            return redirect("accounts:connection_map", pk)
    context = {"connection": connection, "form": form, "step": "tables"}
    return _setup_page(request, "tables.html", context, connection, has_errors=bool(form.errors))


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def connection_map(request: SignedIn, pk: int) -> HttpResponse:
    """Which of our columns takes its value from where, stream by stream, beside the first records."""
    connection = connection_or_404(request, pk, to_work_with=True)
    maps = _maps(connection)
    if not maps:
        messages.info(request, "First it has to be connected.")
        return redirect("accounts:credentials", pk)
    asked = request.POST.get("stream") or request.GET.get("stream", "")
    saved = next((one for one in maps if one.stream == asked), maps[0] if not asked else None)
    if saved is None:
        raise Http404
    sample, problem = _sample(connection, saved)
    form = MapForm(
        request.POST or None,
        saved=saved,
        proposed=_proposed(connection, saved),
        sample=sample,
        initial={"is_wanted": connection.streams.filter(stream=saved.stream, is_wanted=True).exists()},
    )
    if request.method == "POST" and form.is_valid() and _keep_map(request, connection, saved, form):
        return redirect(_after_map(request, connection, maps, saved))
    context = {
        "connection": connection,
        "form": form,
        "saved": saved,
        "label": selectors.stream_label(saved.stream),
        "maps": [(one, selectors.stream_label(one.stream)) for one in maps],
        "following": _following(maps, saved),
        "problem": problem,
        "step": "map",
    }
    return _setup_page(request, "map.html", context, connection, has_errors=bool(form.errors))


def _maps(connection: Connection) -> list[FieldMap]:
    """The maps in the order in which the streams are read."""
    order = {one.stream: one.number for one in connection.streams.all()}
    return sorted(connection.maps.all(), key=lambda one: order.get(one.stream, len(order)))


def _sample(connection: Connection, saved: FieldMap) -> tuple[Sample, str]:
    """The first records; without them why they could not be had, so that the map can be changed all the same."""
    try:
        return services.sample_stream(connection, saved), ""
    except CrmError as problem:
        return Sample(), str(problem)


def _proposed(connection: Connection, saved: FieldMap) -> Mapping[str, Any]:
    try:
        with services.opened(connection) as connector:
            return next((one.columns for one in connector.streams() if one.name == saved.stream), {})
    except CrmError:
        return {}


def _keep_map(request: SignedIn, connection: Connection, saved: FieldMap, form: MapForm) -> bool:
    try:
        save_map(connection, saved.stream, form.chosen_columns, form.chosen_only_if, request.user)
    except CrmError as problem:
        form.add_error(None, str(problem))
        return False
    services.want_stream(connection, saved.stream, is_wanted=form.cleaned_data["is_wanted"])
    return True


def _following(maps: list[FieldMap], saved: FieldMap) -> str:
    """The next stream to look at, in words; empty after the last."""
    position = maps.index(saved) + 1
    return selectors.stream_label(maps[position].stream) if position < len(maps) else ""


def _after_map(request: SignedIn, connection: Connection, maps: list[FieldMap], saved: FieldMap) -> str:
    """The same page to look again, the next stream, or what would happen."""
    here = reverse("accounts:connection_map", args=[connection.pk])
    if "again" in request.POST:
        messages.success(request, "Saved. These are the first records with it.")
        return f"{here}?stream={saved.stream}"
    position = maps.index(saved) + 1
    if "next" in request.POST and position < len(maps):
        return f"{here}?stream={maps[position].stream}"
    ring_sync(services.start_preview(connection, request.user).pk)
    return reverse("accounts:connection_preview", args=[connection.pk])


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
@vary_on_headers("HX-Request")
def connection_preview(request: SignedIn, pk: int) -> HttpResponseBase:
    """What taking everything in would do: found out in the background, shown here."""
    connection = connection_or_404(request, pk, to_work_with=True)
    if not connection.maps.exists():
        messages.info(request, "First it has to be connected.")
        return redirect("accounts:credentials", pk)
    if request.method == "POST":
        ring_sync(services.start_preview(connection, request.user).pk)
        return redirect("accounts:connection_preview", pk)
    run = selectors.latest_preview(connection)
    is_under_way = run is not None and run.state in selectors.UNDER_WAY
    polls = request.headers.get("HX-Target") == "live"
    if polls and not is_under_way:
        return HttpResponseClientRefresh()
    context = {
        "connection": connection,
        "run": run,
        "is_under_way": is_under_way,
        "progress": selectors.run_progress(run) if run else None,
        "found": selectors.preview_told(run),
        "step": "preview",
    }
    part = "#live" if polls else ""
    return _setup_page(request, f"preview.html{part}", context, connection, has_errors=False)


def _setup_page(
    request: SignedIn, name: str, context: dict[str, Any], connection: Connection, *, has_errors: bool
) -> HttpResponse:
    context |= {"has_tables": connector_class(connection.system).has_tables}
    context["is_set_up"] = connection.runs.filter(is_dry_run=False).exists()
    return render(request, f"accounts/connections/{name}", context, status=422 if has_errors else 200)
