"""What one customer told us over time, and whether we still know how they feel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Q

from accounts.models import Account
from accounts.paging import Page, make_page
from accounts.selectors import get_company
from pulsecheck.models import PulseCheck, PulseTheme
from pulsecheck.models.pulses import LOW
from pulsecheck.risk import latest_risks, latest_values
from pulsecheck.selectors.lists import behind
from pulsecheck.selectors.plan import get_policies

PAGE_SIZE = 20
TREND = 24  # pulse checks in the chart


@dataclass(frozen=True)
class Standing:
    """The last pulse check of an account and the day after which it is stale: when the cadence in force
    would have had the next one. Without any pulse there is nothing to go stale, and nothing is known."""

    last: PulseCheck | None
    every_days: int
    stale_after: dt.date | None
    is_stale: bool


def standing_of(account: Account, today: dt.date) -> Standing:
    """Whether the last pulse check of `account` still says something."""
    last = account.pulse_checks.select_related("taken_by", "next_step_owner").first()
    risk = latest_risks([account.pk]).get(account.pk)
    value = latest_values([account.pk]).get(account.pk, 0.0)
    tier = risk.tier if risk else ""
    every = get_policies().every_days(tier, account.segment, account.billing_mode, value)
    if last is None:
        return Standing(None, every, None, is_stale=False)
    stale_after = get_company().local_date(last.taken_at) + dt.timedelta(days=every)
    return Standing(last, every, stale_after, is_stale=today > stale_after)


def history_page(account: Account, query: Mapping[str, str]) -> Page:
    """A page of pulse checks with everything they led to, the newest first; two queries."""
    kept = {"after": query["after"]} if query.get("after") else {}
    rows = account.pulse_checks.select_related(
        "taken_by", "contact", "issue", "insight", "next_step_owner"
    ).prefetch_related("themes")
    found = list(behind(rows, kept.get("after", ""), "taken_at", newest_first=True)[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    cursor = f"{shown[-1].taken_at.isoformat()}~{shown[-1].pk}" if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, kept, cursor, words)


def pulse_trend(account: Account) -> list[PulseCheck]:
    """The last pulse checks for a chart, oldest first."""
    return list(account.pulse_checks.only("score", "taken_at", "account")[:TREND])[::-1]


def theme_counts(account: Account) -> list[PulseTheme]:
    """What their pulses were about, the most frequent first, each with `times` and the `poor` ones among them (1 to 3)."""
    mine = Q(pulse_checks__account=account)
    found = PulseTheme.objects.filter(mine).annotate(
        times=Count("pulse_checks", filter=mine),
        poor=Count("pulse_checks", filter=mine & Q(pulse_checks__score__lte=LOW)),
    )
    return list(found.order_by("-times", "position")[:9])
