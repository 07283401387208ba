"""Taking records away: what one sees of each kind, as CSV or a workbook that an import takes back."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from accounts.downloads import table_response
from accounts.exports import record_rows, visible_records
from accounts.ingest.schema import KINDS
from accounts.permissions import SignedIn
from accounts.selectors import company_today, record_sources


@dataclass(frozen=True)
class Line:
    """A kind of record and what can be taken away of it."""

    name: str
    label: str
    columns: int


@require_GET
def exports(request: SignedIn) -> HttpResponse:
    """What can be taken away."""
    source = _source(request)
    context = {
        "lines": [Line(kind.name, kind.label, len(kind.columns)) for kind in KINDS.values()],
        "sources": record_sources(),
        "source": source,
        "query": urlencode({"source": source}) if source else "",
    }
    return render(request, "accounts/exports.html", context)


@require_GET
def export_records(request: SignedIn, kind: str, form: str) -> HttpResponseBase:
    """One kind of record, as much of it as the person sees."""
    found = KINDS.get(kind)
    if found is None:
        raise Http404
    rows = record_rows(found, visible_records(found, request.user, _source(request)))
    return table_response(f"{found.name}-{company_today()}", form, found.names, rows)


def _source(request: SignedIn) -> str:
    """The record source that was asked for; "" = all of them."""
    source = request.GET.get("source", "")
    return source if source.isprintable() else ""
