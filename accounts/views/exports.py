"""Taking records away: what one sees of a kind, as CSV or a workbook that an import takes back."""

from __future__ import annotations

from django.http import Http404, HttpResponseBase
from django.views.decorators.http import require_GET

from accounts.downloads import table_response
from accounts.exports import asked_source, record_rows, visible_records
from accounts.ingest.schema import KINDS
from accounts.permissions import SignedIn
from accounts.selectors import company_today


@require_GET
def export_records(request: SignedIn, kind: str, form: str) -> HttpResponseBase:
    """One kind of record, as much of it as the person sees."""
    found = KINDS.get(kind)
    if found is None:
        raise Http404
    rows = record_rows(found, visible_records(found, request.user, asked_source(request.GET)))
    return table_response(f"{found.name}-{company_today()}", form, found.names, rows)
