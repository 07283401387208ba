"""The filters over the lists: links that keep the rest of the url."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from accounts.paging import query_url
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.selectors import calendar, handbacks, insights, pulses, surveys
from pulsecheck.selectors.lists import WHOSE, ListFilters, Menus


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


def handback_chips(filters: handbacks.Filters, *, is_leader: bool) -> list[Chip]:
    """Whose, state, trigger."""
    query = filters.query
    return [
        *_whose(query, handbacks.WHOSE, filters.whose, is_leader=is_leader),
        _menu(query, "state", "", list(handbacks.STATES.items()), filters.state),
        _menu(query, "trigger", "Why", [("", "Any reason"), *HandbackTrigger.choices], filters.trigger),
    ]


def pulse_chips(filters: pulses.Filters, *, is_leader: bool) -> list[Chip]:
    """Whose, and how far ahead."""
    spans = [(code, label) for code, (label, _) in pulses.SPANS.items()]
    return [
        *_whose(filters.query, pulses.WHOSE, filters.whose, is_leader=is_leader),
        _menu(filters.query, "span", "", spans, filters.span),
    ]


def calendar_chips(filters: calendar.Filters, *, is_leader: bool) -> list[Chip]:
    """Whose, and how much at once."""
    query = filters.query | {"person": ""}
    views = [("month", "Month"), ("week", "Week")]
    return [
        *_whose(query, pulses.WHOSE, filters.whose, is_leader=is_leader),
        *(
            Chip(label, code == filters.view, url=query_url(filters.query, view=code))
            for code, label in views
        ),
    ]


def insight_chips(filters: insights.Filters, industries: list[str]) -> list[Chip]:
    """Validity and industry."""
    query = filters.query
    return [
        _menu(query, "which", "", list(insights.WHICH.items()), filters.which),
        _menu(
            query, "industry", "For", [("", "Any industry"), *((i, i) for i in industries)], filters.industry
        ),
    ]


def survey_chips(filters: surveys.Filters, segments: list[str]) -> list[Chip]:
    """Span, kind of answer, segment."""
    query = filters.query
    spans = [(code, label) for code, (label, _) in surveys.SPANS.items()]
    return [
        _menu(query, "span", "", spans, filters.span),
        _menu(query, "which", "", list(surveys.WHICH.items()), filters.which),
        _menu(
            query, "segment", "Segment", [("", "Any segment"), *((s, s) for s in segments)], filters.segment
        ),
    ]


def list_chips(filters: ListFilters, states: Mapping[str, str], menus: Menus | None = None) -> list[Chip]:
    """Whose, state, and the further menus of a list."""
    return [
        *_whose(filters.query, WHOSE, filters.whose, is_leader=True),
        _menu(filters.query, "state", "", list(states.items()), filters.state),
        *(
            _menu(filters.query, name, name.capitalize(), list(options), filters.chosen[name])
            for name, options in (menus or {}).items()
            if len(options) > 1
        ),
    ]


def one_menu(query: dict[str, str], key: str, choices: list[tuple[str, str]], value: str) -> list[Chip]:
    """A single menu over a list."""
    kept = {name: words for name, words in query.items() if name == key}
    return [_menu(kept, key, "", choices, value)]


def _whose(query: dict[str, str], words: dict[str, str], value: str, *, is_leader: bool) -> list[Chip]:
    codes = [code for code in words if is_leader or code != "nobody"]
    # Taking one away shows everything; taking that away, one's own.
    other = {"mine": "all", "all": "mine", "nobody": "all"}
    return [
        Chip(words[code], code == value, url=query_url(query, whose=other[code] if code == value else code))
        for code in codes
    ]


def _menu(query: dict[str, str], key: str, label: str, choices: list[tuple[str, str]], value: str) -> Chip:
    shown = dict(choices).get(value, "")
    words = f"{label}: {shown.lower()}" if label else shown
    options = [Option(word, query_url(query, **{key: code}) or "?", code == value) for code, word in choices]
    return Chip(words, bool(value), options=options)
