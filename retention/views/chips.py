"""The filters over a list of accounts: links that keep the rest of the url."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from accounts.models import Role, User
from accounts.paging import query_url
from accounts.selectors import menu_of
from retention.models import ScoreRun, Tier
from retention.selectors.book import SORTS, WHOSE, Filters, factor_words, reason_choices


@dataclass(frozen=True)
class Option:
    """One link of a filter."""

    label: str
    url: str
    is_on: bool


@dataclass(frozen=True)
class Chip:
    """A filter: one link, or a menu of them."""

    label: str
    is_on: bool
    url: str = ""
    options: list[Option] = field(default_factory=list)


def make_chips(filters: Filters, user: User, run: ScoreRun | None, *, risky: bool) -> list[Chip]:
    """Whose, tier, segment, reason, renewal, owner missing."""
    chips = _whose_chips(filters, user)
    chips.append(_tier_chip(filters, risky=risky))
    chips.append(_menu(filters, "segment", "Segment", [(s, s) for s in menu_of("segment")], filters.segment))
    if run is not None:
        chips.append(
            _menu(
                filters,
                "reason",
                "Main reason",
                reason_choices(run),
                filters.reason,
                factor_words(filters.reason),
            )
        )
    chips.append(_toggle(filters, "renewal", "90", "Renewal in 90 days", filters.has_renewal))
    chips.append(_toggle(filters, "owner", "missing", "Owner missing", filters.misses_owner))
    return [chip for chip in chips if chip.url or len(chip.options) > 1]


def sort_links(filters: Filters) -> dict[str, Option]:
    """A link per order of the list."""
    return {
        code: Option(sort.label, query_url(filters.query, sort=code), filters.sort == code)
        for code, sort in SORTS.items()
    }


def _whose_chips(filters: Filters, user: User) -> list[Chip]:
    if user.role == Role.MARKETING:
        return []
    own = {Role.SALES_REP: ["won"], Role.ACCOUNT_MANAGER: ["care"]}
    codes = own.get(Role(user.role), [])
    if user.team_id or user.managed_team_ids:
        codes = [*codes, "team"]
    return [_toggle(filters, "whose", code, WHOSE[code], filters.whose == code) for code in codes]


def _tier_chip(filters: Filters, *, risky: bool) -> Chip:
    standard = "at risk, quiet, watch" if risky else "all"
    choices = [("", f"{standard[0].upper()}{standard[1:]}"), *Tier.choices]
    if risky:
        choices.append(("all", "All tiers"))
    now = dict(choices).get(filters.tier, standard).lower()
    return _with_options(filters, "tier", f"Tier: {now}", bool(filters.tier), choices, filters.tier)


def _menu(
    filters: Filters, key: str, label: str, choices: Iterable[tuple[str, str]], value: str, words: str = ""
) -> Chip:
    shown = f"{label}: {words or value}" if value else label
    return _with_options(filters, key, shown, bool(value), [("", "All"), *choices], value)


def _with_options(
    filters: Filters, key: str, label: str, is_on: bool, choices: Iterable[tuple[str, str]], value: str
) -> Chip:
    options = [
        Option(words, query_url(filters.query, **{key: code}), code == value) for code, words in choices
    ]
    return Chip(label, is_on, options=options)


def _toggle(filters: Filters, key: str, value: str, label: str, is_on: bool) -> Chip:
    return Chip(label, is_on, url=query_url(filters.query, **{key: "" if is_on else value}) or "?")
