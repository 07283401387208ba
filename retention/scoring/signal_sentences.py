"""What the records beyond orders are in words: delivery, service, promises, relationship, pulse, stability, treatment."""

import datetime as dt

import numpy as np

from retention.scoring.parts import Parts
from retention.scoring.signals import FACTS, RECENT_DAYS
from retention.scoring.telling import UNKNOWN, Book, Said, Telling, Whole, whole, wholes

GOOD = "customers in good standing"
EPOCH = dt.date(1970, 1, 1)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def _some(count: int, one: str, more: str) -> str:
    return f"1 {one}" if count == 1 else f"{count:,} {more}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


# ── delivery ───────────────────────────────────────────────────────────
def _late_facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
    due = parts.column("deliveries")[rows]
    return whole(parts.column("late_share")[rows] * due), whole(due)


def _late(book: Book, late: int, due: int) -> Said:
    if due == UNKNOWN:
        return Said("No delivery fell due lately")
    if due == 1:
        return _last_late(book, late)
    if not late:
        return Said(f"None of its last {due:,} deliveries came late", -1)
    usual = book.whole("late_share", 100.0)
    beside = f"{GOOD}: {usual} %" if usual != UNKNOWN else ""
    return Said(f"{late:,} of its last {due:,} deliveries came late", 1, beside)


def _last_late(book: Book, late: int) -> Said:
    return Said("Its last delivery came late", 1) if late > 0 else Said("Its last delivery came on time", -1)


# ── service ────────────────────────────────────────────────────────────
def _open(book: Book, count: int, oldest: int) -> Said:
    if count <= 0:
        return Said("No issue is open", -1)
    if count == 1:
        return Said(f"1 issue open, for {_days(oldest)}", 1)
    return Said(f"{count:,} issues open, the oldest for {_days(oldest)}", 1)


def _lain(book: Book, count: int, oldest: int, recent: int) -> Said:
    if count > 0 or recent <= 0:
        return _open(book, count, oldest) if count > 0 else _recent(book, recent)
    return Said(f"{_some(recent, 'issue', 'issues')} in the last {RECENT_DAYS} days, all settled", 1)


def _recent(book: Book, count: int) -> Said:
    if count <= 0:
        return Said(f"No issue in the last {RECENT_DAYS} days", -1)
    return Said(f"{_some(count, 'issue', 'issues')} in the last {RECENT_DAYS} days", 1)


# ── promises ───────────────────────────────────────────────────────────
def _broken(book: Book, broken: int, promises: int) -> Said:
    if broken <= 0:
        kept = "No promise was broken" if promises <= 0 else f"{_some(promises, 'promise', 'promises')} kept"
        return Said(f"{kept} in the last year", -1)
    return Said(f"{broken} of {_some(promises, 'promise', 'promises')} {_was(broken)} broken", 1)


# ── relationship ───────────────────────────────────────────────────────
def _silence(book: Book, days: int) -> Said:
    if days <= 0:
        return Said("Somebody spoke with them today", -1)
    usual = book.whole("silence")
    beside = f"with {GOOD} for {_days(usual)}" if usual != UNKNOWN else ""
    return Said(f"Nobody has spoken with them for {_days(days)}", None, beside)


def _people(book: Book, count: int) -> Said:
    if count <= 0:
        return Said("Nobody we knew there is left", 1)
    if count == 1:
        return Said("We know only one person there", 1)
    return Said(f"We know {count:,} people there", -1)


# ── pulse ──────────────────────────────────────────────────────────────
def _pulse(book: Book, score: int, day: int) -> Said:
    if UNKNOWN in (score, day):
        return Said("No pulse check lately")
    date = EPOCH + dt.timedelta(days=day)
    return Said(f"Last pulse {score} of 6, on {date.day} {date:%B %Y}", 1 if score <= 3 else -1)


# ── stability ──────────────────────────────────────────────────────────
def _left(book: Book, count: int) -> Said:
    if count <= 0:
        return Said("Nobody we know there has left within a year", -1)
    return Said(f"{_some(count, 'person', 'people')} there left within a year", 1)


def _changes(book: Book, count: int) -> Said:
    if count <= 0:
        return Said("Looked after by the same people for a year", -1)
    often = "once" if count == 1 else f"{count} times"
    return Said(f"Who looks after it changed {often} within a year", 1)


def _vacant(book: Book, days: int) -> Said:
    if days <= 0:
        return Said("Both its owners are there", -1)
    return Said(f"One of its owners has been missing for {_days(days)}", 1)


# ── treatment ──────────────────────────────────────────────────────────
def _treated_facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
    return whole(np.ceil(parts.column("treated")[rows] * 10)), whole(parts.column("under_handback")[rows])


def _treated(book: Book, tenths: int, is_open: int) -> Said:
    if is_open > 0:
        return Said("Handed back at present", 0)
    if tenths > 0:
        return Said(f"Was handed back within the last {book.horizon} days", 0)
    return Said("Not handed back lately", 0)


def _lost(book: Book, lost: int) -> Said:
    return (
        Said("A handback was closed as lost", 1) if lost > 0 else Said("No handback was closed as lost", -1)
    )


def _lost_facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
    return (whole(np.ceil(parts.column("lost_fresh")[rows])),)


OF_TERMS: dict[str, Telling] = {
    "late_share": Telling(1, _late_facts, _late),
    "late_days": Telling(1, _late_facts, _late),
    "late_last": Telling(1, wholes("late_last"), _last_late),
    "issue_weight": Telling(1, wholes("open_issues", "oldest_open"), _open),
    "issue_days": Telling(1, wholes("open_issues", "oldest_open", "recent_issues"), _lain),
    "recent_issues": Telling(1, wholes("recent_issues"), _recent),
    "broken_fresh": Telling(1, wholes("broken", "promises"), _broken),
    "silence": Telling(1, wholes("silence"), _silence),
    "active_contacts": Telling(-1, wholes("active_contacts"), _people),
    "pulse": Telling(-1, wholes("pulse", "pulse_day"), _pulse),
    "left_fresh": Telling(1, wholes("contacts_left"), _left),
    "changes_fresh": Telling(1, wholes("owner_changes"), _changes),
    "vacant": Telling(1, wholes("vacant"), _vacant),
    "treated": Telling(0, _treated_facts, _treated),
    "lost_fresh": Telling(1, _lost_facts, _lost),
}
# Other facts add nothing by themselves; where one is asked for, the first of its factor is told.
_FIRST = {factor: fact for fact, factor in reversed(FACTS.items())}
SIGNAL_TELLINGS = {fact: OF_TERMS.get(fact, OF_TERMS[_FIRST[factor]]) for fact, factor in FACTS.items()}
