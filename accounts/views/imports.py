"""Imports: bring a file, say what its columns are, look at what would happen, do it, take it back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from accounts.forms import KIND_CHOICES, ImportColumnsForm, UploadForm, column_label
from accounts.ingest.errors import IngestError
from accounts.ingest.load import ImportOptions
from accounts.ingest.schema import KINDS, find_kind
from accounts.ingest.undo import undo_import
from accounts.models import ImportRun
from accounts.models.imports import ImportState
from accounts.permissions import LEADERS, SignedIn, require_role
from accounts.services import imports
from accounts.spreadsheets import csv_lines
from accounts.tasks import ring_import

PAGE = 25
SHOWN_REFUSALS = 20
UNDER_WAY = {ImportState.QUEUED, ImportState.RUNNING}


@require_GET
@require_role(*LEADERS)
def import_list(request: SignedIn) -> HttpResponse:
    """What was imported, newest first."""
    runs = ImportRun.objects.visible_to(request.user).select_related("created_by")
    before = request.GET.get("before", "")
    if before.isdigit():
        runs = runs.filter(pk__lt=int(before[:18]))
    shown = list(runs.order_by("-pk")[: PAGE + 1])
    more = shown[PAGE - 1].pk if len(shown) > PAGE else None
    return render(request, "accounts/imports/list.html", {"runs": shown[:PAGE], "before": more})


@require_http_methods(["GET", "POST"])
@require_role(*LEADERS)
def new_import(request: SignedIn) -> HttpResponse:
    """Bring a file."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            run = imports.store_upload(form.cleaned_data["file"], request.user)
            imports.inspect_upload(run)
        except IngestError as problem:
            form.add_error("file", str(problem))
        else:
            return redirect("accounts:import", run.pk)
    status = 422 if form.errors else 200
    context = {"form": form, "kinds": KINDS.values()}
    return render(request, "accounts/imports/new.html", context, status=status)


@require_GET
@require_role(*LEADERS)
@vary_on_headers("HX-Request")
def import_detail(request: SignedIn, pk: int) -> HttpResponseBase:
    """One import, in whatever state it is."""
    run = _run(request, pk)
    polls = request.headers.get("HX-Target") == "live"
    if run.state in UNDER_WAY:
        part = "#live" if polls else ""
        return render(request, f"accounts/imports/progress.html{part}", {"run": run})
    if polls:
        return HttpResponseClientRefresh()
    if run.state == ImportState.UPLOADED or "columns" in request.GET or "kind" in request.GET:
        return _columns_page(request, run)
    return render(request, "accounts/imports/result.html", _result(run))


def _run(request: SignedIn, pk: int) -> ImportRun:
    return get_object_or_404(ImportRun.objects.visible_to(request.user).select_related("created_by"), pk=pk)


def _columns_page(request: SignedIn, run: ImportRun, form: ImportColumnsForm | None = None) -> HttpResponse:
    """The columns of the file beside ours, to be mended by hand."""
    try:
        found = imports.inspect_upload(run, _kind_asked(request))
    except IngestError as problem:
        messages.error(request, str(problem))
        return redirect("accounts:imports")
    form = form or _columns_form(run, found)
    rows = [
        {
            "field": form[f"column_{i}"],
            "values": [row[i] for row in found.rows if i < len(row) and row[i]][:4],
        }
        for i in range(len(found.header))
    ]
    context = {
        "run": run,
        "found": found,
        "form": form,
        "rows": rows,
        "kinds": KIND_CHOICES,
        "options": [
            form[name] for name in ("source", "create_accounts", "dates", "numbers") if name in form.fields
        ],
    }
    return render(request, "accounts/imports/columns.html", context, status=422 if form.errors else 200)


def _kind_asked(request: SignedIn) -> str:
    name = request.POST.get("kind") or request.GET.get("kind", "")
    return name if name in KINDS else ""


def _columns_form(run: ImportRun, found: imports.Inspection, data: Any = None) -> ImportColumnsForm:
    options = ImportOptions.of(run)
    create = options.create_accounts or imports.wants_new_accounts(found.kind, run.record_source)
    initial = {
        "source": run.record_source,
        "dates": options.dates,
        "numbers": options.numbers,
        "create_accounts": create,
    }
    return ImportColumnsForm(
        data, header=found.header, record_kind=found.kind, suggested=found.suggested, initial=initial
    )


@require_POST
@require_role(*LEADERS)
def choose_columns(request: SignedIn, pk: int) -> HttpResponseBase:
    """Keep the choice of columns and start the preview."""
    run = _run(request, pk)
    if run.state in UNDER_WAY or run.state in {ImportState.DONE, ImportState.UNDONE}:
        return redirect("accounts:import", pk)
    try:
        found = imports.inspect_upload(run, _kind_asked(request))
    except IngestError as problem:
        messages.error(request, str(problem))
        return redirect("accounts:imports")
    form = _columns_form(run, found, request.POST)
    if form.is_valid() and _keep_columns(run, found.kind.name, form):
        if imports.queue_import(run.pk, is_dry_run=True):
            ring_import(run.pk)
        return redirect("accounts:import", pk)
    return _columns_page(request, run, form)


def _keep_columns(run: ImportRun, kind: str, form: ImportColumnsForm) -> bool:
    data = form.cleaned_data
    options = ImportOptions(
        mapping=form.mapping,
        guess=False,
        dates=data["dates"],
        numbers=data["numbers"],
        create_accounts=data.get("create_accounts", False),
    )
    try:
        imports.choose_columns(run, kind, data["source"], options)
    except IngestError as problem:
        form.add_error(None, str(problem))
        return False
    return True


@require_POST
@require_role(*LEADERS)
def start_import(request: SignedIn, pk: int) -> HttpResponseBase:
    """Do what the preview showed. Pressing twice starts it once."""
    run = _run(request, pk)
    if run.state == ImportState.PREVIEWED and imports.queue_import(run.pk, is_dry_run=False):
        ring_import(run.pk)
    return redirect("accounts:import", pk)


@require_POST
@require_role(*LEADERS)
def cancel_import(request: SignedIn, pk: int) -> HttpResponseBase:
    """Stop a run that waits or works."""
    run = _run(request, pk)
    if imports.cancel_import(run.pk):
        messages.success(request, "Cancelled. Nothing was imported.")
    return redirect("accounts:import", pk)


@require_POST
@require_role(*LEADERS)
def undo(request: SignedIn, pk: int) -> HttpResponseBase:
    """Take the import back as a whole, or say why not."""
    run = _run(request, pk)
    try:
        undo_import(run.pk, request.user)
    except IngestError as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, "The import is undone. Everything is as it was before it.")
    return redirect("accounts:import", pk)


@require_GET
@require_role(*LEADERS)
def rejected_rows(request: SignedIn, pk: int) -> HttpResponseBase:
    """The refused rows as they stood in the file, each with its reason, to be mended and imported again."""
    run = _run(request, pk)
    header = ["refused_line", "refused_column", "refused_because", *run.options.get("header", [])]
    name = slugify(run.file_name.rsplit(".", 1)[0]) or f"import-{run.pk}"
    response = StreamingHttpResponse(
        csv_lines(header, _rejected_lines(run)), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}-refused.csv"'
    return response


def _rejected_lines(run: ImportRun) -> Iterator[list[str]]:
    for row in run.rejected.order_by("line_number", "pk").iterator(2_000):
        yield [str(row.line_number), row.column, row.reason, *row.raw]


def _result(run: ImportRun) -> dict[str, Any]:
    """What a finished run did, or what a preview would do."""
    kind = find_kind(run.kind) if run.kind else None
    outcomes = (
        ("created", "New", run.rows_created),
        ("changed", "Changed", run.rows_changed),
        ("unchanged", "Unchanged", run.rows_unchanged),
    )
    return {
        "run": run,
        "columns": [column_label(kind, name).removesuffix(" *") for name in _shown(run)] if kind else [],
        "outcomes": [
            {"name": name, "label": label, "count": count, "rows": _example_rows(run, name)}
            for name, label, count in outcomes
        ],
        "refused": run.rejected.all()[:SHOWN_REFUSALS],
        "can_start": run.state == ImportState.PREVIEWED and run.rows_created + run.rows_changed > 0,
        "has_file": bool(run.stored_file),
    }


def _shown(run: ImportRun) -> list[str]:
    """The columns of the examples, in the order of the kind (the database does not keep one)."""
    examples = run.examples.get("created") or run.examples.get("unchanged") or []
    return [name for name in find_kind(run.kind).names if examples and name in examples[0]["values"]]


def _example_rows(run: ImportRun, outcome: str) -> list[dict[str, Any]]:
    names = _shown(run)
    return [
        example | {"cells": [example.get("values", {}).get(name) for name in names]}
        for example in run.examples.get(outcome, [])
    ]
