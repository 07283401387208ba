"""The accounts that may leave, most money first; what is shown can be taken away and acted on as one."""

from __future__ import annotations

import tempfile
from typing import Any

from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from accounts.permissions import CARERS, SignedIn, require_role
from accounts.selectors import get_company
from accounts.spreadsheets import csv_lines, write_xlsx
from retention.models import ScoreRun
from retention.selectors import book
from retention.selectors.at_risk import at_risk_figures
from retention.selectors.frame import latest_run
from retention.views.chips import make_chips, sort_links


@require_GET
@require_role(*CARERS)
def at_risk(request: SignedIn) -> HttpResponse:
    """The list, with what it adds up to."""
    run = latest_run()
    filters = book.Filters.from_query(request.GET.dict())
    context: dict[str, Any] = {"run": run, "filters": filters, "currency": get_company().currency}
    if run is None:
        return render(request, "retention/at_risk.html", context)
    scores = book.scores_of(run, filters, request.user, risky=True)
    context |= {
        "page": book.score_page(run, filters, request.user, risky=True),
        "totals": book.totals(scores),
        "figures": at_risk_figures(request.user, run),
        "chips": make_chips(filters, request.user, run, risky=True),
        "sorts": sort_links(filters),
        "export_query": urlencode({k: v for k, v in filters.query.items() if k != "after"}),
        "today": run.as_of,
    }
    return render(request, "retention/at_risk.html", context)


@require_GET
@require_role(*CARERS)
def export(request: SignedIn, form: str) -> HttpResponseBase:
    """Everything the list shows under the same filters, as CSV or XLSX."""
    run = latest_run()
    if run is None:
        raise Http404
    return export_scores(request, run, form, f"at-risk-{run.as_of}", risky=True)


def export_scores(request: SignedIn, run: ScoreRun, form: str, name: str, *, risky: bool) -> HttpResponseBase:
    """The filtered book as a file, streamed (CSV) or written to a temporary file row by row (XLSX)."""
    filters = book.Filters.from_query(request.GET.dict())
    scores = book.scores_of(run, filters, request.user, risky=risky)
    rows = book.export_rows(scores, filters)
    if form == "csv":
        response = StreamingHttpResponse(
            csv_lines(book.EXPORT_HEADER, rows), content_type="text/csv; charset=utf-8"
        )
        response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        return response
    file = tempfile.TemporaryFile()  # noqa: SIM115 - FileResponse closes it
    write_xlsx(file, book.EXPORT_HEADER, rows)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=f"{name}.xlsx")


@require_POST
@require_role(*CARERS)
def act(request: SignedIn) -> HttpResponse:
    raise Http404


@require_POST
@require_role(*CARERS)
def hand_back(request: SignedIn, pk: int) -> HttpResponse:
    raise Http404
