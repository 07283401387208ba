"""How the installation fares, and a run on demand."""

from __future__ import annotations

import logging

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh
from kombu.exceptions import OperationalError

from accounts.permissions import ADMINISTRATORS, SignedIn, require_role
from notifications.models import OutboxMessage, OutboxState
from retention.scoring.errors import ScoringError
from retention.selectors.kpis import newest_record
from retention.selectors.runs import run_under_way
from retention.selectors.status import get_status
from retention.services.scoring import default_as_of, prepare_run
from retention.tasks import score_run

log = logging.getLogger(__name__)


@never_cache
@require_safe
@require_role(*ADMINISTRATORS)
def status(request: SignedIn) -> HttpResponse:
    """One look at everything."""
    context = {
        "status": get_status(),
        "progress": run_under_way(),
        "record": newest_record(),
        "given_up": OutboxMessage.objects.filter(state=OutboxState.FAILED).count(),
    }
    return render(request, "retention/status.html", context)


@never_cache
@vary_on_headers("HX-Request")
@require_GET
@require_role(*ADMINISTRATORS)
def run_progress(request: SignedIn) -> HttpResponse:
    """The card of the run under way, asked for while it lasts; the whole page anew when it is over."""
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("retention:status")
    progress = run_under_way()
    if progress is None:
        return HttpResponseClientRefresh()
    return render(request, "retention/status.html#run", {"progress": progress})


@require_POST
@require_role(*ADMINISTRATORS)
def score_now(request: SignedIn) -> HttpResponse:
    """A run of yesterday, or of the last day of a book that ended longer ago; workers do it."""
    under_way = run_under_way()
    if under_way is not None:
        messages.info(request, "A score run is under way already.")
        return redirect("retention:status")
    try:
        run = prepare_run(default_as_of(), started_by=request.user, starts_now=False)
    except ScoringError as problem:
        messages.error(request, str(problem))
        return redirect("retention:status")
    _ring(run.pk)
    messages.success(request, "A score run is on its way. Its scores show when all of them are there.")
    return redirect("retention:status")


def _ring(run_id: int) -> None:
    """Tell a worker. Without a broker the run waits for the next look of the reaper."""
    try:
        score_run.delay_on_commit(run_id)
    except OperationalError as problem:
        log.warning("The broker does not answer (%s); score run %s waits for the next look.", problem, run_id)
