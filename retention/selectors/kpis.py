"""What the KPI pages show: figures with their comparisons and trend, by slice, and the accounts behind each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accounts.models import Account, ChurnReason, Role, Team, User
from accounts.models.care import Side
from accounts.permissions import has_role
from retention.kpis.catalogue import BY_NAME, KPIS, Kpi
from retention.kpis.evidence import Evidence, unpack, unpack_evidence
from retention.kpis.periods import month_ends_before, months_before
from retention.kpis.reasons import GroupLine, ReasonLine, grouped
from retention.kpis.terms import Ints
from retention.models import KpiEvidence, KpiValue

KINDS = ("team", "segment", "region")
TREND_MONTHS = 12
PAGE_SIZE = 50


@dataclass(frozen=True)
class Slice:
    """A part of the book that has figures of its own; the company is the whole."""

    kind: str
    key: str
    label: str


COMPANY = Slice("company", "", "the whole company")


@dataclass(frozen=True)
class Scope:
    """The slices a person may look at, by kind; `company` is None for managers of teams."""

    company: Slice | None
    parts: dict[str, list[Slice]]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing this person may look at: a leader whose teams have no accounts."""
        return self.company is None and not any(self.parts.values())

    def choose(self, query: dict[str, str]) -> Slice | None:
        """The slice that the query names; without one the widest. None = a slice this person may not see."""
        for kind in KINDS:
            if key := query.get(kind):
                return next((part for part in self.parts[kind] if part.key == key), None)
        return self.company or next(iter(self.parts["team"]), None)


def kpi_scope(user: User) -> Scope:
    """Administrators, marketing and managers of no team see the company and its slices; managers of teams their teams."""
    book = KpiEvidence.objects.filter(name="book").values("labels").first()
    labels = book["labels"] if book else {}
    if user.role == Role.MANAGER and not user.is_superuser and user.managed_team_ids:
        mine = {str(pk) for pk in user.managed_team_ids}
        teams = _teams(key for key in labels.get("team", []) if key in mine)
        return Scope(None, {"team": teams, "segment": [], "region": []})
    parts = {kind: [Slice(kind, key, key) for key in labels.get(kind, [])] for kind in ("segment", "region")}
    return Scope(COMPANY, parts | {"team": _teams(labels.get("team", []))})


def _teams(keys: Iterable[str]) -> list[Slice]:
    names = {str(pk): name for pk, name in Team.objects.values_list("pk", "name")}
    return sorted(
        (Slice("team", key, names[key]) for key in keys if key in names), key=lambda team: team.label
    )


def sees_company(user: User) -> bool:
    """Whether `user` looks at the whole company's figures."""
    return has_role(user, Role.ADMINISTRATOR, Role.MARKETING) or not user.managed_team_ids


@dataclass(frozen=True)
class Recorded:
    """The newest record: the day it is of, and when it was made."""

    as_of: dt.date
    at: dt.datetime


def newest_record() -> Recorded | None:
    row = KpiEvidence.objects.filter(name="book").values("as_of", "recorded_at").first()
    return Recorded(row["as_of"], row["recorded_at"]) if row else None


@dataclass(frozen=True)
class KpiFigure:
    """A KPI at the newest day, a month and a year before it, and at the month ends in between (oldest first)."""

    kpi: Kpi
    now: KpiValue
    month_ago: float | None
    year_ago: float | None
    trend: list[KpiValue]

    @property
    def change_month(self) -> float | None:
        return _change(self.now.value, self.month_ago)

    @property
    def change_year(self) -> float | None:
        return _change(self.now.value, self.year_ago)


def _change(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def kpi_figures(as_of: dt.date, part: Slice, names: Sequence[str] = ()) -> dict[str, KpiFigure]:
    """The figures of a slice by name (all, or those named); what was never measured is missing."""
    days = {as_of, months_before(as_of, 1), months_before(as_of, 12), *month_ends_before(as_of, TREND_MONTHS)}
    rows = KpiValue.objects.filter(slice_kind=part.kind, slice_key=part.key, period_end__in=days)
    rows = rows.filter(name__in=names or list(BY_NAME)).defer("detail").order_by("period_end")
    by_name: dict[str, dict[dt.date, KpiValue]] = {}
    for row in rows:
        by_name.setdefault(row.name, {})[row.period_end] = row
    _attach_details(by_name, as_of)
    return {
        kpi.name: _figure(kpi, by_name[kpi.name], as_of) for kpi in KPIS if as_of in by_name.get(kpi.name, {})
    }


def _attach_details(by_name: dict[str, dict[dt.date, KpiValue]], as_of: dt.date) -> None:
    """Details are only shown of the newest day; they are long for cohorts and reasons."""
    newest = [days[as_of] for days in by_name.values() if as_of in days]
    details = dict(KpiValue.objects.filter(pk__in=[row.pk for row in newest]).values_list("pk", "detail"))
    for row in newest:
        row.detail = details[row.pk]


def _figure(kpi: Kpi, days: dict[dt.date, KpiValue], as_of: dt.date) -> KpiFigure:
    def value(day: dt.date) -> float | None:
        return days[day].value if day in days else None

    trend = [days[day] for day in (*month_ends_before(as_of, TREND_MONTHS), as_of) if day in days]
    return KpiFigure(kpi, days[as_of], value(months_before(as_of, 1)), value(months_before(as_of, 12)), trend)


@dataclass(frozen=True)
class LossReasons:
    """Why customers left: by reason with its name, by side, and by whether we could have done something."""

    lines: list[tuple[ReasonLine, str]]
    sides: list[tuple[GroupLine, str]]
    control: list[tuple[GroupLine, str]]


CONTROL_WORDS = {"yes": "We could have done something", "no": "Outside our control", "unknown": "Unknown"}


def loss_reasons(row: KpiValue) -> LossReasons:
    """The Pareto stored with `row`, with names, sides and control as the churn reasons say today."""
    known = {reason.code: reason for reason in ChurnReason.objects.all()}
    lines = [ReasonLine(**line) for line in row.detail.get("lines", [])]
    sides = grouped(lines, {code: _side(code, reason) for code, reason in known.items()})
    control = grouped(lines, {code: _control(code, reason) for code, reason in known.items()})
    side_words = dict(Side.choices) | {"unknown": "Unknown"}
    return LossReasons(
        [(line, known[line.reason].name if line.reason in known else line.reason) for line in lines],
        [(line, side_words[line.key]) for line in sides],
        [(line, CONTROL_WORDS[line.key]) for line in control],
    )


def _side(code: str, reason: ChurnReason) -> str:
    return "unknown" if code == "unknown" else reason.side


def _control(code: str, reason: ChurnReason) -> str:
    return "unknown" if code == "unknown" else "yes" if reason.is_controllable else "no"


@dataclass(frozen=True)
class AccountLine:
    """One account of a KPI: what it adds to the top and the bottom. `account` is None where it is gone or not to be
    seen by the reader any more."""

    account: Account | None
    numerator: float
    denominator: float | None
    part: str


@dataclass(frozen=True)
class AccountTotals:
    """What the listed accounts add up to."""

    accounts: int
    numerator: float
    denominator: float | None

    @property
    def value(self) -> float | None:
        if self.denominator is None:
            return self.numerator if self.accounts else None
        return self.numerator / self.denominator if self.denominator > 0 else None


class KpiAccounts:
    """The accounts behind a figure as they were when it was recorded, what weighs most first."""

    def __init__(self, kpi: Kpi, part: Slice, only: str = "") -> None:
        stored = {row.name: row for row in KpiEvidence.objects.filter(name__in=["book", kpi.name])}
        self.parts: list[str] = stored[kpi.name].labels["parts"] if kpi.name in stored else []
        self.only = only if only in self.parts else ""
        if len(stored) < 2:
            empty = np.empty(0)
            self.evidence = Evidence(empty.astype(np.int64), empty, None, empty.astype(np.int64))
            self.account_ids: Ints = empty.astype(np.int64)
            return
        book = unpack(bytes(stored["book"].payload))
        evidence = unpack_evidence(bytes(stored[kpi.name].payload))
        if part.kind != "company":
            number = stored["book"].labels[part.kind].index(part.key)
            evidence = evidence.select(book[part.kind][evidence.rows] == number)
        if self.only:
            evidence = evidence.select(evidence.part == self.parts.index(self.only))
        self.evidence = evidence
        self.order = evidence.by_weight(lost_first=kpi.good == "up")
        self.account_ids = book["account_ids"][evidence.rows]

    @property
    def totals(self) -> AccountTotals:
        bottom = self.evidence.denominator
        return AccountTotals(
            len(self.evidence.rows),
            float(self.evidence.numerator.sum()),
            None if bottom is None else float(bottom.sum()),
        )

    def lines(self, user: User, start: int = 0, size: int | None = None) -> list[AccountLine]:
        """Some of the accounts (default: all from `start`)."""
        if not len(self.account_ids):
            return []
        chosen = self.order[start : None if size is None else start + size]
        accounts = (
            Account.objects.visible_to(user)
            .filter(pk__in=self.account_ids[chosen].tolist())
            .select_related("original_salesperson", "account_manager")
        )
        by_id = {account.pk: account for account in accounts}
        return [self._line(int(at), by_id) for at in chosen]

    def _line(self, at: int, by_id: dict[int, Account]) -> AccountLine:
        bottom, part = self.evidence.denominator, int(self.evidence.part[at])
        return AccountLine(
            by_id.get(int(self.account_ids[at])),
            float(self.evidence.numerator[at]),
            None if bottom is None else float(bottom[at]),
            self.parts[part] if 0 <= part < len(self.parts) else "",
        )


def part_words(kpi: Kpi, parts: Sequence[str]) -> dict[str, str]:
    """How the parts of a KPI are called: churn reasons have names, the others name themselves."""
    words: dict[str, Any] = {part: part for part in parts if part}
    if kpi.name == "churn_reasons":
        words |= dict(ChurnReason.objects.filter(code__in=list(words)).values_list("code", "name"))
    return words
