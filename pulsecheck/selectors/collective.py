"""The pulse of the whole book: which share of pulses is low, by theme, product, team and region, and what stands out."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncMonth

from accounts.models import User
from accounts.paging import query_url
from accounts.selectors import get_company
from pulsecheck.control_chart import Chart, Group, Point, Verdict, against, needed, p_chart
from pulsecheck.models import Action, Holding, PulseCheck, PulseTheme
from pulsecheck.models.pulses import LOW

MONTHS = 12
RECENT_MONTHS = 3
MOST_PULSES = 30
KEEP_SECONDS = 600
MANY, KEEP_MANY_SECONDS = 20_000, 3600
COMPANY = ("company", "")
KINDS = {"theme": "Themes", "region": "Regions", "team": "Teams", "product": "Products"}
# (kind, value) of a slice -> month -> theme ("" = any) -> low pulses; the theme None holds all pulses asked.
Counts = dict[tuple[str, str], dict[dt.date, dict[str | None, int]]]


@dataclass(frozen=True)
class Choice:
    """What is looked at: a theme (empty: any), a slice of the book (kind and value; empty: all of it), and by what the
    last months are compared."""

    theme: str = ""
    kind: str = ""
    value: str = ""
    by: str = "theme"
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str], themes: Mapping[str, str]) -> Choice:
        """Values that make no sense are left out."""
        keys = ("theme", "kind", "value", "by")
        kept = {k: query[k].strip() for k in keys if query.get(k, "").strip() and "\0" not in query[k]}
        is_slice = kept.get("kind") in set(KINDS) - {"theme"} and kept.get("value")
        return cls(
            theme=kept["theme"] if kept.get("theme") in themes else "",
            kind=kept["kind"] if is_slice else "",
            value=kept["value"] if is_slice else "",
            by=kept["by"] if kept.get("by") in KINDS else "theme",
            query=kept,
        )

    @property
    def cause(self) -> str:
        """How improvements because of it are filed."""
        return _cause(self.theme, *self.slice)

    @property
    def slice(self) -> tuple[str, str]:
        return (self.kind, self.value) if self.kind else COMPANY


@dataclass(frozen=True)
class Spike:
    """A theme that stands out in a slice of the book in the last months, and what is being done about it."""

    theme: str
    theme_name: str
    kind: str
    value: str
    point: Point
    says: str
    cause: str
    query: str
    actions: list[Action] = field(default_factory=list)


@dataclass(frozen=True)
class Collective:
    """Everything the page shows. `usual` is the share of the whole book over the year for the chosen theme; `needed` how
    many pulses a group needs before it can be judged against that."""

    months: Chart
    groups: Chart
    recent: Point
    usual: float | None
    needed: int | None
    since: dt.date
    judged: int
    spikes: list[Spike]


def _cause(theme: str, kind: str, value: str) -> str:
    return f"{theme or 'any'}|{kind}|{value}"


def themes_by_code() -> dict[str, str]:
    """Names of all themes, in their order; those no longer offered have a past too."""
    return dict(PulseTheme.objects.values_list("code", "name"))


def months_until(today: dt.date, count: int = MONTHS) -> list[dt.date]:
    """The first days of the last `count` months, the present one last."""
    number = today.year * 12 + today.month - 1
    return [dt.date(n // 12, n % 12 + 1, 1) for n in range(number - count + 1, number + 1)]


# ── counting ───────────────────────────────────────────────────────────
def count_pulses(today: dt.date) -> Counts:
    """Pulses of the last twelve months by slice and month; four queries, kept until somebody logs another one. Where
    there are so many that one does not show, they are kept for an hour all the same."""
    newest = PulseCheck.objects.order_by("-pk").values_list("pk", flat=True).first()
    keys = {f"collective-{today}": KEEP_MANY_SECONDS, f"collective-{today}-{newest}": KEEP_SECONDS}
    counts: Counts | None = next(iter(cache.get_many(keys).values()), None)
    if counts is None:
        counts = _count(today)
        asked = sum(row.get(None, 0) for row in counts.get(COMPANY, {}).values())
        key = f"collective-{today}" if asked > MANY else f"collective-{today}-{newest}"
        cache.set(key, counts, keys[key])
    return counts


def _count(today: dt.date) -> Counts:
    zone, first = get_company().zone, months_until(today)[0]
    start = dt.datetime.combine(first, dt.time(), zone)
    pulses = PulseCheck.objects.filter(taken_at__gte=start).order_by()
    pulses = pulses.annotate(month=TruncMonth("taken_at", tzinfo=zone))
    counts: Counts = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    places = ("month", "account__region", "account__account_manager__team__name")
    for theme, month, region, team, number in _grouped(pulses, *places, is_once=True):
        for where in (COMPANY, ("region", region), ("team", team)):
            if where == COMPANY or where[1]:
                counts[where][month.date()][theme] += number
    year_ago = today - dt.timedelta(days=365)
    buying = pulses.filter(account__holdings__last_on__gte=year_ago)
    for theme, month, series, number in _grouped(buying, "month", "account__holdings__product__series"):
        if series:
            counts["product", series][month.date()][theme] += number
    return {where: {month: dict(row) for month, row in months.items()} for where, months in counts.items()}


def _grouped(pulses: QuerySet[PulseCheck], *places: str, is_once: bool = False) -> Iterable[tuple[Any, ...]]:
    """(theme, ...places, number): all pulses (theme None), low ones (""), and low ones that name a theme. `is_once`: every
    pulse has but one of each place, so that none has to be told apart."""
    apart = not is_once
    counted = pulses.values_list(*places).annotate(
        asked=Count("pk", distinct=apart), low=Count("pk", distinct=apart, filter=Q(score__lte=LOW))
    )
    for *where, asked, low in counted:
        yield None, *where, asked
        yield "", *where, low
    named = pulses.filter(score__lte=LOW, themes__isnull=False).values_list("themes__code", *places)
    yield from named.annotate(low=Count("pk", distinct=apart))


def _group(
    counts: Counts, where: tuple[str, str], months: Iterable[dt.date], theme: str, label: str
) -> Group:
    """Low pulses that name `theme`, of all pulses, in a slice and some months."""
    rows = [counts.get(where, {}).get(month, {}) for month in months]
    return Group(label, sum(row.get(theme, 0) for row in rows), sum(row.get(None, 0) for row in rows))


# ── the page ───────────────────────────────────────────────────────────
def collective_pulse(choice: Choice, today: dt.date, themes: Mapping[str, str]) -> Collective:
    """The chosen theme and slice month by month, the last three months by theme, region, team or product, and whatever
    stands out anywhere."""
    counts, months = count_pulses(today), months_until(today)
    recent = months[-RECENT_MONTHS:]
    by_month = [_group(counts, choice.slice, [m], choice.theme, f"{m:%b %Y}") for m in months]
    usual = _usual(counts, months, choice.theme)
    shown = against([_group(counts, choice.slice, recent, choice.theme, "")], usual).points[0]
    spikes, judged = _spikes(counts, months, themes)
    return Collective(
        p_chart(by_month),
        _compare(counts, months, choice, themes),
        shown,
        usual,
        needed(usual) if usual else None,
        recent[0],
        judged,
        spikes,
    )


def _usual(counts: Counts, months: Iterable[dt.date], theme: str) -> float | None:
    whole = _group(counts, COMPANY, months, theme, "")
    return whole.cases / whole.size if whole.size else None


def _compare(counts: Counts, months: list[dt.date], choice: Choice, themes: Mapping[str, str]) -> Chart:
    """The last months, by theme within the chosen slice, or by slice for the chosen theme."""
    recent = months[-RECENT_MONTHS:]
    if choice.by == "theme":
        points = [
            against([_group(counts, choice.slice, recent, code, name)], _usual(counts, months, code)).points[
                0
            ]
            for code, name in themes.items()
        ]
        return Chart(None, sorted(points, key=lambda p: -(p.share or 0)))
    values = sorted(value for kind, value in counts if kind == choice.by)
    groups = [_group(counts, (choice.by, value), recent, choice.theme, value) for value in values]
    chart = against(groups, _usual(counts, months, choice.theme))
    return Chart(chart.centre, sorted(chart.points, key=lambda p: -(p.share or 0)))


def _spikes(counts: Counts, months: list[dt.date], themes: Mapping[str, str]) -> tuple[list[Spike], int]:
    """Every theme in every slice of the last months that stands out, the widest first; and how many were judged."""
    recent, found, judged = months[-RECENT_MONTHS:], [], 0
    for theme, name in {"": "Low pulses", **themes}.items():
        usual = _usual(counts, months, theme)
        for kind, value in counts:
            point = against([_group(counts, (kind, value), recent, theme, value)], usual).points[0]
            judged += point.verdict != Verdict.CANNOT_TELL
            if point.verdict == Verdict.HIGH:
                found.append(_spike(theme, name, kind, value, point, recent[0]))
    actions = actions_by_cause([spike.cause for spike in found])
    found.sort(key=lambda s: (s.kind != "company", s.theme != "", -(s.point.share or 0)))
    return [replace(spike, actions=actions.get(spike.cause, [])) for spike in found], judged


def _spike(theme: str, name: str, kind: str, value: str, point: Point, since: dt.date) -> Spike:
    query = query_url({}, theme=theme, kind="" if kind == "company" else kind, value=value)
    return Spike(
        theme,
        name,
        kind,
        value,
        point,
        words_of(name, kind, value, point, since),
        _cause(theme, kind, value),
        query,
    )


def words_of(name: str, kind: str, value: str, point: Point, since: dt.date) -> str:
    """ "Delivery, region North: 14 of 112 pulses since September are low because of it (12 %); up to 7 % is usual." """
    where = "whole company" if kind == "company" else f"{kind} {value}"
    why = "low" if name == "Low pulses" else "low because of it"
    share, limits = point.share or 0.0, point.limits
    usual = f"; up to {limits.upper * 100:.0f}\N{NO-BREAK SPACE}% is usual" if limits else ""
    return (
        f"{name}, {where}: {point.group.cases} of {point.group.size} pulses since {since:%B} are {why} "
        f"({share * 100:.0f}\N{NO-BREAK SPACE}%{usual})."
    )


def actions_by_cause(causes: list[str]) -> dict[str, list[Action]]:
    """Improvements by what they were agreed because of, those to do first."""
    found: dict[str, list[Action]] = defaultdict(list)
    rows = Action.objects.filter(cause__in=causes).exclude(cause="").select_related("owner")
    for action in rows.order_by("done_at", "due_on"):
        found[action.cause].append(action)
    return found


def point_of(choice: Choice, today: dt.date, themes: Mapping[str, str]) -> Spike:
    """What is measured now of a theme in a slice, whether it stands out or not: what an improvement keeps."""
    counts, months = count_pulses(today), months_until(today)
    recent, (kind, value) = months[-RECENT_MONTHS:], choice.slice
    usual = _usual(counts, months, choice.theme)
    point = against([_group(counts, choice.slice, recent, choice.theme, value)], usual).points[0]
    return _spike(choice.theme, themes.get(choice.theme, "Low pulses"), kind, value, point, recent[0])


def pulses_behind(user: User, choice: Choice, since: dt.date, today: dt.date) -> list[PulseCheck]:
    """Low pulses of the choice in the last months, of accounts `user` sees, the newest first."""
    start = dt.datetime.combine(since, dt.time(), get_company().zone)
    rows = PulseCheck.objects.visible_to(user).filter(taken_at__gte=start, score__lte=LOW)
    if choice.theme:
        rows = rows.filter(themes__code=choice.theme)
    if choice.kind == "region":
        rows = rows.filter(account__region=choice.value)
    elif choice.kind == "team":
        rows = rows.filter(account__account_manager__team__name=choice.value)
    elif choice.kind == "product":
        bought = {"last_on__gte": today - dt.timedelta(days=365), "product__series": choice.value}
        rows = rows.filter(account__in=Holding.objects.filter(**bought).values("account"))
    found = rows.select_related("account", "taken_by").prefetch_related("themes")
    return list(found.order_by("-taken_at", "-pk")[:MOST_PULSES])
