"""What a person does with a connection: sync, stop, pause, schedule, write back, let go."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import selectors_crm as selectors
from accounts.crm import runs
from accounts.crm.errors import CrmError
from accounts.forms_crm import ScheduleForm
from accounts.models import Connection, SyncRun
from accounts.permissions import ADMINISTRATORS, LEADERS, SignedIn, require_role
from accounts.services import connecting as services
from accounts.tasks import ring_sync
from accounts.views.connections import connection_or_404

SHOWN_LINES = 500


@never_cache
@require_GET
@require_role(*LEADERS)
def sync_run(request: SignedIn, pk: int) -> HttpResponse:
    """One run, step by step, with its log."""
    visible = SyncRun.objects.filter(connection__in=Connection.objects.visible_to(request.user))
    run = get_object_or_404(visible.select_related("connection", "started_by"), pk=pk)
    context = {
        "run": run,
        "connection": run.connection,
        "progress": selectors.run_progress(run),
        "log": run.log.all()[:SHOWN_LINES],
    }
    return render(request, "accounts/connections/run.html", context)


@require_POST
@require_role(*ADMINISTRATORS)
def start_sync(request: SignedIn, pk: int) -> HttpResponse:
    """Sync now: what changed, or ("full") everything again. Pressing twice starts it once."""
    connection = connection_or_404(request, pk)
    if not connection.maps.exists():
        messages.error(request, "First it has to be connected.")
        return redirect("accounts:credentials", pk)
    run = services.start_reading(
        connection,
        request.user,
        is_full="full" in request.POST,
        accepts_deletions="accept" in request.POST,
    )
    ring_sync(run.pk)
    return redirect("accounts:connection", pk)


@require_POST
@require_role(*ADMINISTRATORS)
def stop_sync(request: SignedIn, pk: int) -> HttpResponse:
    """Stop what runs; what came in stays."""
    connection = connection_or_404(request, pk)
    run = connection.runs.filter(state__in=runs.OPEN).first()
    if run is not None and runs.cancel_run(run):
        messages.success(request, "Stopped. What came in so far stays; the next sync goes on behind it.")
    return redirect("accounts:connection", pk)


@require_POST
@require_role(*ADMINISTRATORS)
def pause(request: SignedIn, pk: int) -> HttpResponse:
    connection = connection_or_404(request, pk)
    runs.pause_connection(connection)
    messages.success(request, f"{connection.name} is paused. Nothing is read or written until you continue.")
    return redirect("accounts:connection", pk)


@require_POST
@require_role(*ADMINISTRATORS)
def carry_on(request: SignedIn, pk: int) -> HttpResponse:
    connection = connection_or_404(request, pk)
    runs.resume_connection(connection)
    for run_id in connection.runs.filter(state__in=runs.OPEN).values_list("pk", flat=True):
        ring_sync(run_id)
    messages.success(request, f"{connection.name} goes on where it was.")
    return redirect("accounts:connection", pk)


@require_POST
@require_role(*ADMINISTRATORS)
def schedule(request: SignedIn, pk: int) -> HttpResponse:
    """How often it is read."""
    connection = connection_or_404(request, pk)
    form = ScheduleForm(request.POST, connection=connection)
    if form.is_valid():
        services.save_schedule(connection, **form.cleaned_data, user=request.user)
        messages.success(request, "Saved.")
    else:
        messages.error(request, "Choose one of the times that are offered.")
    return redirect("accounts:connection", pk)


@require_POST
@require_role(*ADMINISTRATORS)
def write_back(request: SignedIn, pk: int) -> HttpResponse:
    """Write scores into the other system, or stop doing so."""
    connection = connection_or_404(request, pk, to_work_with=True)
    is_on = request.POST.get("turn") == "on"
    try:
        services.switch_write_back(connection, is_on=is_on, user=request.user)
    except CrmError as problem:
        messages.error(request, str(problem))
    else:
        said = (
            "The scores of the coming night are the first to be written."
            if is_on
            else "Nothing more is written. What was written stays there."
        )
        messages.success(request, said)
    return redirect("accounts:connection", pk)


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def disconnect(request: SignedIn, pk: int) -> HttpResponse:
    """Let go of a system, after saying what becomes of its records."""
    connection = connection_or_404(request, pk)
    if request.method == "POST":
        services.disconnect(connection, request.user)
        messages.success(request, f"{connection.name} is disconnected. What came from it stays.")
        return redirect("accounts:connections")
    context = {"connection": connection, "kept": services.count_kept(connection)}
    return render(request, "accounts/connections/disconnect.html", context)
