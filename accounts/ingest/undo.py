"""Taking an import back as a whole: rows it created go, rows it changed are as they were.

Refused, with the reason, when somebody has built on them since: a row was changed again, or a record that
another import or a person made hangs on a row that would go. What is worked out again every night is no reason
and goes with its account: models say which rows that is by `derived_rows`, a Q.
"""

# ruff: noqa: S608 - the SQL is put together from names in the schema only; values are parameters

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection, models, transaction
from django.db.models import ForeignObjectRel
from django.utils import timezone

from accounts.ingest.errors import IngestError
from accounts.ingest.load import wait_to_save
from accounts.ingest.merge import MODELS
from accounts.models import Account, AuditEntry, ImportChange, ImportRun, User
from accounts.models.imports import ImportState


def undo_import(run_id: int, user: User | None = None) -> ImportRun:
    """Take the run back; the run, now undone. IngestError says why when that is no longer possible."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            wait_to_save(cursor)
        run = ImportRun.objects.select_for_update().get(pk=run_id)
        if run.state != ImportState.DONE:
            raise IngestError(
                f"Only a finished import can be undone; this one is {run.get_state_display().lower()}."
            )
        model = MODELS[run.kind]
        created = [rows for rows in (_created(model, run), _created(Account, run)) if rows is not None]
        for rows in created if model is not Account else created[:1]:
            _check_untouched(rows, run)
            _check_unused(rows, run)
        _restore_changed(model, run)
        for rows in created if model is not Account else created[:1]:
            _purge(rows)
        return _mark_undone(run, user)


def _created(model: type[models.Model], run: ImportRun) -> models.QuerySet[Any]:
    return model._base_manager.filter(import_run=run)


def _check_untouched(rows: models.QuerySet[Any], run: ImportRun) -> None:
    """Refuse when a row that the run made or changed was changed again later."""
    table = rows.model._meta.db_table
    later = ImportChange.objects.filter(table=table, run__gt=run.pk)
    changed = run.changes.filter(table=table).values("row_id")
    again = rows.filter(pk__in=later.values("row_id")).count() + later.filter(row_id__in=changed).count()
    if again:
        first = later.order_by("run_id").values_list("run_id", flat=True).first()
        raise IngestError(
            f"{_some(again, rows.model)} of this import came again in import {first}; undo that one first."
        )
    if "updated_at" in {field.name for field in rows.model._meta.fields}:
        own = rows.model._base_manager.filter(pk__in=changed) | rows
        edited = own.filter(updated_at__gt=run.finished_at).count()
        if edited:
            raise IngestError(
                f"{_some(edited, rows.model)} of this import were edited since, so it cannot be undone as a whole."
            )


def _check_unused(rows: models.QuerySet[Any], run: ImportRun) -> None:
    """Refuse when something that is not of this run hangs on a row that would go."""
    for relation in relations_of(rows.model):
        child = relation.related_model
        if relation.on_delete is models.SET_NULL:
            continue
        hanging = child._base_manager.filter(**{f"{relation.field.name}__in": rows})
        if derived := getattr(child, "derived_rows", None):
            hanging = hanging.exclude(derived)
        if "import_run" in {field.name for field in child._meta.fields}:
            hanging = hanging.exclude(import_run=run)
        if count := hanging.count():
            raise IngestError(
                f"{_some(count, child)} recorded since belong to {rows.model._meta.verbose_name_plural}"
                " of this import, so it cannot be undone as a whole."
            )


def _some(count: int, model: type[models.Model]) -> str:
    names = model._meta
    return f"{count:,} {names.verbose_name if count == 1 else names.verbose_name_plural}"


def relations_of(model: type[models.Model]) -> Iterator[Any]:
    """Every foreign key of any app that points at `model`."""
    for field in model._meta.get_fields(include_hidden=True):
        if isinstance(field, ForeignObjectRel) and not field.many_to_many:
            yield field


def _restore_changed(model: type[models.Model], run: ImportRun) -> None:
    """Put back what the changed rows said before."""
    first = run.changes.first()
    if first is None:
        return
    table = model._meta.db_table
    names = ", ".join(f'"{name}"' for name in sorted(first.before))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} t SET ({names}) = (SELECT {names} FROM jsonb_populate_record(NULL::{table}, c.before))"
            ' FROM accounts_importchange c WHERE c.run_id = %s AND c."table" = %s AND c.row_id = t.id',
            [run.pk, table],
        )


def _purge(rows: models.QuerySet[Any]) -> None:
    """Delete `rows` and what was worked out from them, table by table."""
    for relation in relations_of(rows.model):
        children = relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": rows})
        if relation.on_delete is models.SET_NULL:
            children.update(**{relation.field.name: None})
        elif relation.on_delete is models.PROTECT and children.exists():
            raise IngestError(
                f"{_some(children.count(), relation.related_model)} still need what this import made, so it cannot be undone."
            )
        elif relation.related_model is not rows.model:
            _purge(children)
    rows._raw_delete(rows.db)


def _mark_undone(run: ImportRun, user: User | None) -> ImportRun:
    run.changes.all().delete()
    run.state = ImportState.UNDONE
    run.undone_at = timezone.now()
    run.save(update_fields=["state", "undone_at", "updated_at"])
    AuditEntry.objects.create(
        user=user, action="undo_import", subject="import_run", subject_id=run.pk, detail={"kind": run.kind}
    )
    return run
