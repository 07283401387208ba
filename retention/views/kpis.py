"""Retention figures: the board, and for each figure what it means and which accounts make it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from accounts.downloads import table_response
from accounts.models import Role, User
from accounts.paging import make_page, query_url
from accounts.permissions import LEADERS, SignedIn, has_role, require_role
from accounts.selectors import get_company
from retention.kpis.catalogue import BY_NAME, Kpi
from retention.selectors.definitions import version_words
from retention.selectors.kpis import (
    KINDS,
    PAGE_SIZE,
    AccountLine,
    KpiAccounts,
    KpiFigure,
    Scope,
    Slice,
    kpi_figures,
    kpi_scope,
    loss_reasons,
    newest_record,
    part_words,
)
from retention.templatetags.mainstay import MINUS, day_text, money, number, percent
from retention.views.chips import Chip, Option

READERS = (Role.MANAGER, Role.ADMINISTRATOR, Role.MARKETING)
STRIP = (
    "gross_revenue_retention",
    "net_revenue_retention",
    "repeat_purchase_rate",
    "erosion_rate",
    "expected_loss",
    "revenue_at_risk",
    "save_rate",
    "pulse_coverage",
)
EROSION = (
    "full_loss_rate",
    "partial_decline_rate",
    "logo_churn_rate",
    "net_logo_rate",
    "quiet_share",
    "out_of_touch_share",
)
CARE = ("promise_kept_rate", "on_time_delivery_rate", "renewal_rate")
HANDBACKS = ("save_rate", "handback_completion_rate", "handback_acceptance_days")
KIND_WORDS = {"team": "Team", "segment": "Segment", "region": "Region"}
BANDS = 10


# -- words ----------------------------------------------------------------
def value_text(kpi: Kpi, value: float | None, currency: str) -> str:
    """A figure as people read it; nothing to measure is a dash."""
    if value is None:
        return "–"
    if kpi.unit == "money":
        return money(round(value), currency)
    return percent(value, 1) if kpi.is_share else f"{value:.1f} days"


def change_text(kpi: Kpi, change: float | None, currency: str) -> str:
    """How far a figure moved, without its direction; "" when it did not move enough to say."""
    if change is None:
        return ""
    size = abs(change)
    if kpi.unit == "money":
        return money(round(size), currency) if size >= 1 else ""
    if kpi.is_share:
        return f"{size * 100:.1f} pts" if size >= 0.0005 else ""
    return f"{size:.1f} days" if size >= 0.05 else ""


def term_text(kpi: Kpi, value: float | None, currency: str) -> str:
    """What one account adds: money, days or a count."""
    if value is None:
        return "–"
    if kpi.terms_are_money:
        return money(value, currency)
    return number(value)


@dataclass(frozen=True)
class Tile:
    """One figure of the board."""

    figure: KpiFigure
    url: str
    text: str
    month_text: str
    year_text: str
    trend_words: str

    @property
    def kpi(self) -> Kpi:
        return self.figure.kpi

    @property
    def spark(self) -> list[float]:
        return [row.value for row in self.figure.trend if row.value is not None]


def _tile(figure: KpiFigure, part: Slice, currency: str) -> Tile:
    kpi, text = figure.kpi, value_text(figure.kpi, figure.now.value, currency)
    first = next((row for row in figure.trend if row.value is not None), None)
    words = f"{kpi.title}, last 12 months"
    if first is not None and first is not figure.now:
        words += f": from {value_text(kpi, first.value, currency)} to {text}"
    return Tile(
        figure,
        _url("kpi", part, name=kpi.name),
        text,
        change_text(kpi, figure.change_month, currency),
        change_text(kpi, figure.change_year, currency),
        words,
    )


def _url(view: str, part: Slice, query: dict[str, str] | None = None, **kwargs: str) -> str:
    keys = ({} if part.kind == "company" else {part.kind: part.key}) | (query or {})
    return reverse(f"retention:{view}", kwargs=kwargs) + (f"?{urlencode(keys)}" if keys else "")


def _slice_chips(scope: Scope, part: Slice, query: dict[str, str]) -> list[Chip]:
    """One menu per kind of slice; choosing one leaves the others."""
    chips = []
    for kind in KINDS:
        rest = {other: "" for other in KINDS if other != kind}
        options = [
            Option(choice.label, query_url(query, **rest, **{kind: choice.key}), choice == part)
            for choice in scope.parts[kind]
        ]
        if scope.company is not None:
            everything = query_url(query, **dict.fromkeys(KINDS, ""))
            options.insert(0, Option("All", everything, part == scope.company))
        label = f"{KIND_WORDS[kind]}: {part.label}" if part.kind == kind else KIND_WORDS[kind]
        if len(options) > 1:
            chips.append(Chip(label, part.kind == kind, options=options))
    return chips


# -- the board --------------------------------------------------------------
@require_GET
@require_role(*READERS)
def board(request: SignedIn) -> HttpResponse:
    """All figures of the company or of one slice."""
    record = newest_record()
    if record is None or kpi_scope(request.user).is_empty:
        may_import = has_role(request.user, *LEADERS)
        empty = {
            "record": None,
            "has_team_only": record is not None,
            "import_url": reverse("accounts:imports") if may_import else "",
        }
        return render(request, "retention/kpis/board.html", empty)
    query = request.GET.dict()
    scope, part = _scope_and_part(request.user, query)
    figures = kpi_figures(record.as_of, part)
    currency = get_company().currency
    tiles = {name: _tile(figure, part, currency) for name, figure in figures.items()}
    context = {
        "record": record,
        "part": part,
        "chips": _slice_chips(scope, part, query),
        "strip": [tiles[name] for name in STRIP if name in tiles],
        "erosion": [tiles[name] for name in EROSION if name in tiles],
        "erosion_total": tiles.get("erosion_rate"),
        "care": [tiles[name] for name in CARE if name in tiles],
        "handbacks": [tiles[name] for name in HANDBACKS if name in tiles],
        "save": figures["save_rate"].now if "save_rate" in figures else None,
        "completion": figures.get("handback_completion_rate"),
        "acceptance": figures.get("handback_acceptance_days"),
        "cohorts": _cohorts(figures, query, part),
        "reasons": _reasons(figures, part, currency),
        "provisional": _provisional(tiles),
        **_erosion_bar(figures),
        "currency": currency,
        "export_query": urlencode(query),
    }
    return render(request, "retention/kpis/board.html", context)


def _scope_and_part(user: User, query: dict[str, str]) -> tuple[Scope, Slice]:
    scope = kpi_scope(user)
    part = scope.choose(query)
    if part is None:
        raise Http404
    return scope, part


def _provisional(tiles: dict[str, Tile]) -> list[tuple[str, list[Tile]]]:
    """Why some figures may still change: each reason once, with the figures it concerns."""
    reasons: dict[str, list[Tile]] = {}
    for tile in tiles.values():
        if tile.figure.now.is_provisional:
            reasons.setdefault(tile.figure.now.detail.get("provisional", ""), []).append(tile)
    return list(reasons.items())


def _erosion_bar(figures: dict[str, KpiFigure]) -> dict[str, Any]:
    """Last year's revenue as one bar: lost with whole customers, lost in part, kept."""
    shares = [figures[name].now.value if name in figures else None for name in EROSION[:2]]
    if shares[0] is None or shares[1] is None:
        return {}
    widths = [100 * shares[0], 100 * shares[1], 100 * (1 - shares[0] - shares[1])]
    starts = [0.0, widths[0], widths[0] + widths[1]]
    pieces = [
        {"tone": tone, "x": f"{start:.2f}", "width": f"{max(width, 0):.2f}"}
        for tone, start, width in zip(("loss", "decline", "kept"), starts, widths, strict=True)
    ]
    words = (
        f"Of the revenue of a year ago {percent(shares[0], 1)} left with customers who stopped, "
        f"{percent(shares[1], 1)} crumbled off those who stayed, {percent(1 - shares[0] - shares[1], 1)} is still here."
    )
    return {"erosion_bar": pieces, "erosion_words": words}


@dataclass(frozen=True)
class CohortRow:
    """A cohort and its share (and band of colour) per quarter; None where it lies ahead."""

    label: str
    size: int
    cells: list[tuple[str, int] | None]


def _cohorts(figures: dict[str, KpiFigure], query: dict[str, str], part: Slice) -> dict[str, Any] | None:
    figure = figures.get("cohort_retention")
    if figure is None or not any(figure.now.detail.get("sizes", [])):
        return None
    detail = figure.now.detail
    kind = "revenue" if query.get("cohorts") == "revenue" else "active"
    rows = [
        CohortRow(label, size, [_cell(share) for share in shares])
        for label, size, shares in zip(detail["labels"], detail["sizes"], detail[kind], strict=True)
        if size
    ]
    return {
        "rows": rows,
        "quarters": range(len(detail["labels"])),
        "is_revenue": kind == "revenue",
        "customers_url": query_url(query, cohorts=""),
        "revenue_url": query_url(query, cohorts="revenue"),
        "url": _url("kpi", part, name="cohort_retention"),
    }


def _cell(share: float | None) -> tuple[str, int] | None:
    if share is None:
        return None
    return f"{share * 100:.0f}".replace("-", MINUS), min(int(share * BANDS), BANDS)


def _reasons(figures: dict[str, KpiFigure], part: Slice, currency: str) -> dict[str, Any] | None:
    figure = figures.get("churn_reasons")
    if figure is None or not figure.now.detail.get("lines"):
        return None
    found = loss_reasons(figure.now)
    lines = [
        (line, words, _url("kpi", part, {"part": line.reason}, name="churn_reasons"))
        for line, words in found.lines
    ]
    chart = {
        "labels": [words for _, words in found.lines],
        "count": [line.count for line, _ in found.lines],
        "running": [round(line.running_share * 100, 1) for line, _ in found.lines],
    }
    return {
        "lines": lines,
        "sides": found.sides,
        "control": found.control,
        "chart": chart,
        "count": sum(line.count for line, _ in found.lines),
        "money": figure.now.value,
        "url": _url("kpi", part, name="churn_reasons"),
    }


BOARD_HEADER = (
    "KPI", "Name", "Slice", "From", "To", "Value", "A month ago", "A year ago", "Top", "Bottom", "Accounts",
    "Provisional", "Definition version",
)  # fmt: skip


@require_GET
@require_role(*READERS)
def export(request: SignedIn, form: str) -> HttpResponseBase:
    """The board as a table."""
    record = newest_record()
    if record is None:
        raise Http404
    _, part = _scope_and_part(request.user, request.GET.dict())
    figures = kpi_figures(record.as_of, part)
    rows = [_export_row(figure, part) for figure in figures.values()]
    return table_response(f"kpis-{record.as_of}", form, BOARD_HEADER, rows)


def _export_row(figure: KpiFigure, part: Slice) -> list[Any]:
    now = figure.now
    comparisons = (figure.month_ago, figure.year_ago)
    return [
        figure.kpi.title,
        figure.kpi.name,
        part.label,
        now.period_start,
        now.period_end,
        now.value,
        *comparisons,
        now.numerator,
        now.denominator,
        now.accounts,
        "yes" if now.is_provisional else "no",
        now.definition_version,
    ]


# -- one figure -------------------------------------------------------------
@require_GET
@require_role(*READERS)
def kpi(request: SignedIn, name: str) -> HttpResponse:
    """What a figure means, how it went, and the accounts that make it."""
    what = _known(name)
    record = newest_record()
    context: dict[str, Any] = {"kpi": what, "record": record}
    if record is None:
        return render(request, "retention/kpis/kpi.html", context)
    query = request.GET.dict()
    scope, part = _scope_and_part(request.user, query)
    figure = kpi_figures(record.as_of, part, [name]).get(name)
    context |= {"part": part, "chips": _slice_chips(scope, part, query), "figure": figure}
    if figure is not None:
        context |= _figure_context(request.user, figure, part, query)
    return render(request, "retention/kpis/kpi.html", context)


def _known(name: str) -> Kpi:
    if name not in BY_NAME:
        raise Http404
    return BY_NAME[name]


def _figure_context(user: User, figure: KpiFigure, part: Slice, query: dict[str, str]) -> dict[str, Any]:
    what, currency = figure.kpi, get_company().currency
    behind = KpiAccounts(what, part, query.get("part", ""))
    start = int(query["after"]) if query.get("after", "").isdecimal() else 0
    lines = behind.lines(user, start, PAGE_SIZE + 1)
    words = part_words(what, behind.parts)
    totals = behind.totals
    shown = f"{start + 1:,} to {start + min(len(lines), PAGE_SIZE):,} of {totals.accounts:,} accounts"
    return {
        "tile": _tile(figure, part, currency),
        "currency": currency,
        "trend": _trend(figure, currency),
        "page": make_page(
            [_account_row(what, line, words, currency) for line in lines],
            PAGE_SIZE,
            query,
            str(start + PAGE_SIZE),
            shown,
        ),
        "totals": _totals(what, behind, currency),
        "part_chip": _part_chip(what, behind, words, query),
        "only": words.get(behind.only, ""),
        "detail": _detail_words(figure),
        "version": version_words(figure.now.definition_version.partition(" ")[2]),
        "export_query": urlencode({key: value for key, value in query.items() if key != "after"}),
        "months": (value_text(what, figure.month_ago, currency), value_text(what, figure.year_ago, currency)),
    }


def _trend(figure: KpiFigure, currency: str) -> dict[str, Any]:
    today = figure.now.period_end
    rows = [
        (day_text(row.period_end, today), value_text(figure.kpi, row.value, currency), row)
        for row in figure.trend
    ]
    scale = 100 if figure.kpi.is_share else 1
    values = [None if row.value is None else round(row.value * scale, 2) for _, _, row in rows]
    chart = {
        "labels": [label for label, _, _ in rows],
        "values": values,
        "unit": {"share": "%", "money": currency, "days": "days"}[figure.kpi.unit],
        "title": figure.kpi.title,
    }
    return {"rows": rows[::-1], "chart": chart, "is_drawn": sum(value is not None for value in values) > 1}


def _account_row(what: Kpi, line: AccountLine, words: dict[str, str], currency: str) -> dict[str, Any]:
    return {
        "account": line.account,
        "part": words.get(line.part, ""),
        "top": term_text(what, line.numerator, currency),
        "bottom": term_text(what, line.denominator, currency) if what.bottom else "",
    }


def _totals(what: Kpi, behind: KpiAccounts, currency: str) -> dict[str, str]:
    totals = behind.totals
    return {
        "accounts": number(totals.accounts),
        "top": term_text(what, totals.numerator, currency),
        "bottom": term_text(what, totals.denominator, currency),
        "value": value_text(what, totals.value, currency),
    }


def _part_chip(what: Kpi, behind: KpiAccounts, words: dict[str, str], query: dict[str, str]) -> Chip | None:
    if not words:
        return None
    options = [Option("All", query_url(query, part=""), not behind.only)]
    options += [
        Option(words[code], query_url(query, part=code), code == behind.only) for code in words if code
    ]
    label = f"{what.part}: {words[behind.only]}" if behind.only else what.part
    return Chip(label, bool(behind.only), options=options)


def _detail_words(figure: KpiFigure) -> list[str]:
    """What stands beside some figures, in sentences."""
    detail, words = figure.now.detail, []
    if "within_days" in detail:
        words.append(f"Days allowed for the second order: {detail['within_days']}.")
    if "at_risk_from" in detail:
        run = dt.date.fromisoformat(detail["run"])
        words.append(
            f"From the scores as of {run.day} {run:%B %Y}; at risk from {detail['at_risk_from'] * 100:.3g} %."
        )
    if "open" in detail:
        words.append(
            f"Shown apart: {detail['open']} open, {detail['waiting']} closed that wait for their horizon."
        )
    if detail.get("median") is not None:
        words.append(f"Half of them were accepted within {detail['median']:.0f} days.")
    if "provisional" in detail:
        words.append(f"Provisional: {detail['provisional']}")
    return words


@require_GET
@require_role(*READERS)
def export_accounts(request: SignedIn, name: str, form: str) -> HttpResponseBase:
    """The accounts behind a figure, all of them."""
    what, record = _known(name), newest_record()
    if record is None:
        raise Http404
    query = request.GET.dict()
    _, part = _scope_and_part(request.user, query)
    behind = KpiAccounts(what, part, query.get("part", ""))
    header = ["Account", "Name", what.part or "Part", what.top, what.bottom or "Bottom"]
    rows = _export_lines(behind.lines(request.user), part_words(what, behind.parts))
    return table_response(f"{name}-{record.as_of}", form, header, rows)


def _export_lines(lines: list[AccountLine], words: dict[str, str]) -> Iterator[list[Any]]:
    for line in lines:
        account = (line.account.external_id, line.account.name) if line.account else ("", "")
        yield [*account, words.get(line.part, ""), line.numerator, line.denominator]
