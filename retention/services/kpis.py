"""Works the KPIs out for the company and its slices, and keeps them with the accounts behind each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from django.db import connection, transaction

from retention.kpis.catalogue import BY_NAME
from retention.kpis.evidence import evidence_of, pack, pack_evidence
from retention.kpis.periods import month_ends_before, months_before, period_ends
from retention.kpis.terms import Ints
from retention.models import KpiEvidence, KpiValue
from retention.selectors.definitions import definition_versions
from retention.selectors.kpi_measures import Measured, Reader
from retention.selectors.kpi_records import Book

LARGEST_SLICES = 50  # with more segments or regions than these, the largest are kept as slices
MONTHS_KEPT = 36
BATCH = 2000
LOCK = 0x4B504931  # one record at a time; the number means nothing
FIELDS = (
    "value",
    "numerator",
    "denominator",
    "accounts",
    "is_provisional",
    "definition_version",
    "detail",
)


@dataclass(frozen=True)
class Recorded:
    """What a record came to."""

    as_of: dt.date
    days: int
    values: int
    changed: int
    accounts: int


def record_kpis(as_of: dt.date) -> Recorded:
    """Every KPI at the end of `as_of`, a month and a year before it and at the month ends of the last year, for the
    company, its teams, segments and regions. Recording a day again gives the same rows; only changed ones are written.
    The accounts behind the figures are kept for the newest day recorded."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        reader = Reader(as_of)
        slices = list(_slices(reader.book))
        version = definition_versions(reader.in_force)
        is_newest = not KpiEvidence.objects.filter(as_of__gt=as_of).exists()
        rows: list[KpiValue] = []
        evidence = [_book_evidence(as_of, reader.book)] if is_newest else []
        for day in period_ends(as_of):
            for measured in reader.measure(day):
                rows += _values(measured, day, slices, version)
                if day == as_of and is_newest:
                    evidence.append(_evidence(measured, as_of))
        changed = _write(rows)
        if is_newest:
            KpiEvidence.objects.all().delete()
            KpiEvidence.objects.bulk_create(evidence)
            _forget_days_between(as_of)
    return Recorded(as_of, len(period_ends(as_of)), len(rows), changed, reader.book.size)


def _slices(book: Book) -> Iterator[tuple[str, str, Ints | None]]:
    """(kind, key, rows of its accounts); the company is all rows."""
    yield "company", "", None
    for kind, number in book.slices.items():
        sizes = np.bincount(number[number >= 0], minlength=len(book.names[kind]))
        largest = np.argsort(-sizes, kind="stable")
        kept = largest if kind == "team" else largest[:LARGEST_SLICES]
        order = np.argsort(number, kind="stable")
        starts = np.searchsorted(number[order], np.arange(len(sizes) + 1))
        for slice_number in kept:
            name = book.names[kind][slice_number]
            yield kind, name[:120], order[starts[slice_number] : starts[slice_number + 1]]


def _values(
    measured: Measured, day: dt.date, slices: list[tuple[str, str, Ints | None]], version: str
) -> Iterator[KpiValue]:
    formula = BY_NAME[measured.name].version
    for kind, key, rows in slices:
        figure = measured.terms.figure(rows)
        because = {"provisional": measured.provisional} if measured.provisional else {}
        yield KpiValue(
            name=measured.name,
            period_start=measured.start,
            period_end=day,
            slice_kind=kind,
            slice_key=key,
            value=figure.value,
            numerator=figure.numerator,
            denominator=figure.denominator,
            accounts=figure.accounts,
            is_provisional=bool(measured.provisional),
            definition_version=f"{formula} {version}",
            detail=measured.detail(rows) | because,
        )


def _write(rows: list[KpiValue]) -> int:
    """Insert what is new and overwrite what differs."""
    days = {row.period_end for row in rows}
    stored = {_key(row): row for row in KpiValue.objects.filter(period_end__in=days)}
    changed = [row for row in rows if not _same(stored.get(_key(row)), row)]
    KpiValue.objects.bulk_create(
        changed,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["name", "period_start", "period_end", "slice_kind", "slice_key"],
        update_fields=[*FIELDS, "updated_at"],
    )
    return len(changed)


def _key(row: KpiValue) -> tuple[str, dt.date, dt.date, str, str]:
    return row.name, row.period_start, row.period_end, row.slice_kind, row.slice_key


def _same(stored: KpiValue | None, row: KpiValue) -> bool:
    if stored is None:
        return False
    return all(_plain(getattr(stored, name)) == _plain(getattr(row, name)) for name in FIELDS)


def _plain(value: object) -> object:
    """Tuples come back from the database as lists."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _evidence(measured: Measured, as_of: dt.date) -> KpiEvidence:
    return KpiEvidence(
        name=measured.name,
        as_of=as_of,
        payload=pack_evidence(evidence_of(measured.terms, measured.part)),
        labels={"parts": list(measured.parts)},
    )


def _book_evidence(as_of: dt.date, book: Book) -> KpiEvidence:
    arrays = {"account_ids": book.account_ids} | {
        kind: number.astype(np.int32) for kind, number in book.slices.items()
    }
    return KpiEvidence(name="book", as_of=as_of, payload=pack(arrays), labels=book.names)


def _forget_days_between(as_of: dt.date) -> None:
    """Month ends stay for three years; of the other days only those that `as_of` is compared with."""
    month_ends = [*month_ends_before(as_of, MONTHS_KEPT)]
    kept = {as_of, months_before(as_of, 1), months_before(as_of, 12), *month_ends}
    KpiValue.objects.filter(period_end__lt=as_of).exclude(period_end__in=kept).delete()
