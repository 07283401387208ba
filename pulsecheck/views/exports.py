"""Taking away what one sees: records with the columns of the import files, and what the care loop wrote down."""

from __future__ import annotations

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from accounts.downloads import table_response
from accounts.exports import asked_source
from accounts.ingest.schema import KINDS
from accounts.permissions import SignedIn
from accounts.selectors import company_today, record_sources
from pulsecheck.exports import TABLES


@require_GET
def exports(request: SignedIn) -> HttpResponse:
    """What can be taken away."""
    source = asked_source(request.GET)
    context = {
        "kinds": KINDS.values(),
        "tables": [table for table in TABLES.values() if table.is_for(request.user)],
        "sources": record_sources(),
        "source": source,
        "query": urlencode({"source": source}) if source else "",
    }
    return render(request, "pulsecheck/exports.html", context)


@require_GET
def export_care(request: SignedIn, name: str, form: str) -> HttpResponseBase:
    """One table of the care loop, as much of it as the person sees."""
    table = TABLES.get(name)
    if table is None or not table.is_for(request.user):
        raise Http404
    return table_response(f"{table.name}-{company_today()}", form, table.header, table.lines(request.user))
