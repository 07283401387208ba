"""The records behind a person's own figures: each line is one thing that was theirs to do, and whether it was done in
time. Read for several people at once, so that a team costs as many queries as one person. What there are thousands of
can be counted without reading the lines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import Enquiry, Promise
from accounts.selectors import get_company
from pulsecheck.business_hours import hours_words
from pulsecheck.handback import SILENT
from pulsecheck.models import Handback, HandbackAttempt, HandbackThanks, Touchpoint
from pulsecheck.models.handbacks import AttemptKind, HandbackOutcome
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.selectors.enquiries import answer_time
from pulsecheck.selectors.promises import IN_TIME, fell_due
from pulsecheck.selectors.triggers import office_hours

Key = TypeVar("Key")
Counts = dict[int, tuple[int, int]]  # person -> how many were good, of how many


@dataclass(frozen=True)
class Span:
    """Days after `after` up to and with `until`."""

    after: dt.date
    until: dt.date

    @cached_property
    def moments(self) -> tuple[dt.datetime, dt.datetime]:
        """From the beginning of the first day up to (not with) the end of the last."""
        zone, day = get_company().zone, dt.timedelta(days=1)
        return (
            dt.datetime.combine(self.after + day, dt.time(), zone),
            dt.datetime.combine(self.until + day, dt.time(), zone),
        )

    @property
    def before(self) -> Span:
        """As many days before it."""
        return Span(self.after - (self.until - self.after), self.after)


@dataclass(frozen=True)
class Line:
    """One thing that was `person`'s: on which day, what it was, what became of it, and whether that was good."""

    person: int
    account: int
    on: dt.date
    what: str
    outcome: str
    is_good: bool
    page: str = ""
    of: int = 0
    probability: float | None = None


def _count(rows: QuerySet[Any], person: str, is_good: Q) -> Counts:
    """How many of these records were good and how many there are, for each person; one query."""
    counted = rows.order_by().values_list(person).annotate(good=Count("pk", filter=is_good), n=Count("pk"))
    return {pk: (good, n) for pk, good, n in counted}


def _promises(people: Sequence[int], span: Span) -> QuerySet[Promise]:
    return fell_due(
        Promise.objects.filter(made_by__in=people, due_on__lte=span.until), span.after, _today(span)
    )


def promise_lines(people: Sequence[int], span: Span) -> Iterator[Line]:
    """Promises by the day they were due."""
    for row in _promises(people, span).annotate(is_good=IN_TIME):
        outcome = "kept in time" if row.is_good else "kept late" if row.kept_on else "not kept"
        yield Line(row.made_by_id, row.account_id, row.due_on, row.text, outcome, bool(row.is_good))


def count_promises(people: Sequence[int], span: Span) -> Counts:
    """How many of `promise_lines` are good."""
    return _count(_promises(people, span), "made_by", IN_TIME)


def _today(span: Span) -> dt.date:
    """The last day, or the day after it where the span is over, so that what was due on it has had its day."""
    today = get_company().local_date(timezone.now())
    return min(today, span.until + dt.timedelta(days=1))


def _enquiries(people: Sequence[int], span: Span) -> QuerySet[Enquiry]:
    begin, end = span.moments
    return Enquiry.objects.filter(owner__in=people, received_at__gte=begin, received_at__lt=end)


def answer_lines(people: Sequence[int], span: Span) -> Iterator[Line]:
    """Enquiries they own, answered or out of time, by the day they came."""
    company = get_company()
    rows = _enquiries(people, span).only("owner", "account", "received_at", "responded_at", "subject")
    for row, waited, is_late in _judged((row, row.received_at, row.responded_at) for row in rows):
        outcome = f"{'answered in' if row.responded_at else 'waits for'} {hours_words(waited)}"
        on = company.local_date(row.received_at)
        yield Line(
            row.owner_id or 0, row.account_id, on, str(row), outcome, not is_late, "pulsecheck:enquiry", row.pk
        )  # fmt: skip


def count_answers(people: Sequence[int], span: Span) -> Counts:
    """How many of `answer_lines` are good."""
    found: Counts = {}
    asked = _enquiries(people, span).order_by().values_list("owner", "received_at", "responded_at")
    for owner, _, is_late in _judged(asked):
        good, n = found.get(owner or 0, (0, 0))
        found[owner or 0] = good + (not is_late), n + 1
    return found


def _judged(
    asked: Iterable[tuple[Key, dt.datetime, dt.datetime | None]],
) -> Iterator[tuple[Key, dt.timedelta, bool]]:
    """Of what came and was answered at these moments, what is answered or too late: how long it waited in office hours,
    and whether that was too long."""
    office, allowed, now = office_hours(), answer_time(), timezone.now()
    for key, received_at, responded_at in asked:
        waited = office.between(received_at, responded_at or now)
        if responded_at or waited > allowed:
            yield key, waited, waited > allowed


OF_A_HANDBACK = (
    "salesperson",
    "account",
    "trigger",
    "opened_at",
    "due_at",
    "due_on",
    "accepted_at",
    "closed_at",
    "outcome",
)


def handback_lines(people: Sequence[int], span: Span) -> Iterator[Line]:
    """Handbacks that were theirs to answer: accepted, closed, declined, or let lie until they went to somebody else."""
    begin, end = span.moments
    now, company = timezone.now(), get_company()
    rows = Handback.objects.filter(salesperson__in=people, opened_at__gte=begin, opened_at__lt=end)
    for row in rows.only(*OF_A_HANDBACK):
        answered, due = row.accepted_at or row.closed_at, row.due_at or _end_of(row.due_on)
        if answered is None and now <= due:
            continue
        good = answered is not None and answered <= due
        outcome = "answered in time" if good else "answered late" if answered else "not answered yet"
        yield Line(
            row.salesperson_id or 0, row.account_id, company.local_date(row.opened_at), row.get_trigger_display(),
            outcome, good, "pulsecheck:handback", row.pk,
        )  # fmt: skip
    yield from _given_on(people, begin, end)


def _end_of(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), get_company().zone)


def _given_on(people: Sequence[int], begin: dt.datetime, end: dt.datetime) -> Iterator[Line]:
    """Handbacks they declined, or that went to somebody else because they had not answered; not those that did because
    they were away or had left."""
    earlier = HandbackAttempt.objects.filter(
        handback=OuterRef("handback"), kind=AttemptKind.ESCALATE, happened_at__lt=OuterRef("happened_at")
    )
    given = Q(kind=AttemptKind.DECLINE) | Q(kind=AttemptKind.PASS_ON, note__contains=SILENT)
    rows = HandbackAttempt.objects.filter(
        given, user__in=people, happened_at__gte=begin, happened_at__lt=end
    ).annotate(was_late=Exists(earlier))
    company = get_company()
    needed = ("user", "happened_at", "kind", "handback__account", "handback__trigger")
    for row in rows.select_related("handback").only(*needed):
        good = row.kind == AttemptKind.DECLINE and not row.was_late
        outcome = "declined in time" if good else "declined late"
        if row.kind == AttemptKind.PASS_ON:
            outcome = "not answered, went to somebody else"
        yield Line(
            row.user_id or 0, row.handback.account_id, company.local_date(row.happened_at),
            row.handback.get_trigger_display(), outcome, good, "pulsecheck:handback", row.handback_id,
        )  # fmt: skip


def save_lines(people: Sequence[int], span: Span) -> Iterator[Line]:
    """Handbacks they had when these were closed as saved or lost, by that day."""
    begin, end = span.moments
    rows = Handback.objects.filter(
        salesperson__in=people,
        closed_at__gte=begin,
        closed_at__lt=end,
        outcome__in=[HandbackOutcome.SAVED, HandbackOutcome.LOST],
    )
    company = get_company()
    for row in rows.only(*OF_A_HANDBACK):
        assert row.closed_at is not None
        yield Line(
            row.salesperson_id or 0, row.account_id, company.local_date(row.closed_at),
            row.get_trigger_display(), row.get_outcome_display().lower(), row.outcome == HandbackOutcome.SAVED,
            "pulsecheck:handback", row.pk,
        )  # fmt: skip


ASKED_IN_TIME = Q(finished_on__lte=F("due_on"))


def _pulses(people: Sequence[int], span: Span) -> QuerySet[Touchpoint]:
    rows = Touchpoint.objects.filter(assignee__in=people, due_on__gt=span.after, due_on__lte=span.until)
    done = Q(state=TouchpointState.DONE, finished_on__isnull=False)
    missed = Q(state=TouchpointState.PLANNED, due_on__lt=_today(span))
    return rows.filter(done | missed)


def pulse_lines(people: Sequence[int], span: Span) -> Iterator[Line]:
    """Pulse checks that were theirs, by the day they were due; those left out with a reason do not count."""
    for row in _pulses(people, span).annotate(is_good=ASKED_IN_TIME):
        outcome = "asked in time" if row.is_good else "asked late" if row.finished_on else "not asked yet"
        yield Line(
            row.assignee_id or 0, row.account_id, row.due_on, row.reason, outcome, bool(row.is_good),
            "pulsecheck:touchpoint", row.pk,
        )  # fmt: skip


def count_pulses(people: Sequence[int], span: Span) -> Counts:
    """How many of `pulse_lines` are good."""
    return _count(_pulses(people, span), "assignee", ASKED_IN_TIME)


def thanks_lines(people: Sequence[int], span: Span) -> Iterator[Line]:
    """Thanks of others for saves they had a part in."""
    begin, end = span.moments
    rows = HandbackThanks.objects.filter(
        handback__credits__person__in=people, created_at__gte=begin, created_at__lt=end
    ).exclude(by=F("handback__credits__person"))
    found = rows.annotate(person=F("handback__credits__person")).select_related("by", "handback")
    company = get_company()
    for row in found.only("words", "created_at", "by__name", "handback__account"):
        yield Line(
            row.person, row.handback.account_id, company.local_date(row.created_at), row.words,
            f"from {row.by}", True, "pulsecheck:handback", row.handback_id,
        )  # fmt: skip
