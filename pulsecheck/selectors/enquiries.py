"""Enquiries and the clock that runs until they are answered, in business hours of the company."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from accounts.models import Enquiry, User
from accounts.paging import Page
from accounts.selectors import get_company, keep_if_large, of_visible_accounts
from pulsecheck.business_hours import OfficeHours, hours_words
from pulsecheck.selectors.lists import ListFilters, keyset_page, named
from pulsecheck.selectors.triggers import office_hours

STATES = {
    "": "Waiting",
    "late": "Late",
    "steps": "Next step to do",
    "answered": "Answered",
    "all": "All",
}
WAITING = Q(responded_at=None)
STEP_TO_DO = Q(responded_at__isnull=False, next_step_done_at=None, next_step_due_on__isnull=False)
LOOK_BACK_DAYS, MOST_JUDGED = 90, 2000
MANY_JUDGED = 500  # the office hours between question and answer take a while to work out


def answer_time() -> dt.timedelta:
    """Business hours within which an enquiry is to be answered."""
    return dt.timedelta(hours=get_company().answer_hours)


def late_if_before(now: dt.datetime) -> dt.datetime:
    """Whatever came in before this moment and waits still has waited too long."""
    return office_hours().before(now, get_company().answer_hours)


@dataclass(frozen=True)
class Clock:
    """How long an enquiry waited or waits in business hours, and by when it was or is to be answered."""

    due_at: dt.datetime
    waited: dt.timedelta
    is_late: bool
    is_running: bool

    @property
    def words(self) -> str:
        """3 h left; late by 2 h; answered in 40 min."""
        if not self.is_running:
            return f"answered in {hours_words(self.waited)}"
        left = answer_time() - self.waited
        return f"late by {hours_words(-left)}" if self.is_late else f"{hours_words(left)} left"


def clock_of(enquiry: Enquiry, now: dt.datetime, office: OfficeHours) -> Clock:
    """The response clock of one enquiry at `now`."""
    allowed = answer_time()
    waited = office.between(enquiry.received_at, enquiry.responded_at or now)
    due_at = office.add(enquiry.received_at, get_company().answer_hours)
    return Clock(due_at, waited, waited > allowed, enquiry.responded_at is None)


def mine(user: User) -> Q:
    """Those `user` answers: their own, and those that nobody owns of accounts they look after."""
    return Q(owner=user) | Q(owner=None, account__account_manager=user)


def _whose(user: User, whose: str) -> QuerySet[Enquiry]:
    seen = of_visible_accounts(Enquiry.objects.all(), user)
    return seen.filter(mine(user) | Q(next_step_owner=user)) if whose == "mine" else seen


def enquiry_page(user: User, filters: ListFilters) -> Page:
    """What waits, the oldest first, or what is answered, the newest first; one query. Every row has its `clock`."""
    now = timezone.now()
    conditions = {
        "": WAITING,
        "late": WAITING & Q(received_at__lt=late_if_before(now)),
        "steps": STEP_TO_DO,
        "answered": ~WAITING,
        "all": Q(),
    }
    rows = named(_whose(user, filters.whose), filters.text).filter(conditions[filters.state])
    related = rows.select_related("account", "contact", "owner", "next_step_owner")
    page = keyset_page(related, filters, "received_at", newest_first=filters.state in {"answered", "all"})
    office = office_hours()
    for row in page.rows:
        row.clock = clock_of(row, now, office)
    return page


@dataclass(frozen=True)
class EnquiryCounts:
    """Enquiries waiting, of these late; next steps to do; of the last answers (`judged`, of 90 days) how many came in
    time, and the middle one's business hours."""

    waiting: int
    late: int
    steps: int
    judged: int
    in_time: int
    middle: dt.timedelta | None

    @property
    def share(self) -> float | None:
        """Answered in time, 0..1."""
        return self.in_time / self.judged if self.judged else None

    @property
    def middle_words(self) -> str:
        return hours_words(self.middle) if self.middle is not None else ""


def count_enquiries(user: User, whose: str) -> EnquiryCounts:
    """What stands above the list; two queries."""
    return keep_if_large(
        "enquiries", user, whose, (), lambda: _counted(user, whose), lambda c: c.judged, large=MANY_JUDGED
    )


def _counted(user: User, whose: str) -> EnquiryCounts:
    now = timezone.now()
    rows = _whose(user, whose).order_by()
    counts = rows.filter(WAITING | STEP_TO_DO).aggregate(
        waiting=Count("pk", filter=WAITING),
        late=Count("pk", filter=WAITING & Q(received_at__lt=late_if_before(now))),
        steps=Count("pk", filter=STEP_TO_DO),
    )
    waits = response_times(rows, now)
    in_time = sum(wait <= answer_time() for wait in waits)
    return EnquiryCounts(
        **counts, judged=len(waits), in_time=in_time, middle=sorted(waits)[len(waits) // 2] if waits else None
    )


def response_times(rows: QuerySet[Enquiry], now: dt.datetime) -> list[dt.timedelta]:
    """Business hours from question to answer of what came in lately and is answered, of the newest ones."""
    since = now - dt.timedelta(days=LOOK_BACK_DAYS)
    pairs = rows.filter(received_at__gte=since, responded_at__isnull=False).order_by("-received_at", "-pk")
    office = office_hours()
    return [
        office.between(asked, answered)
        for asked, answered in pairs.values_list("received_at", "responded_at")[:MOST_JUDGED]
        if answered is not None
    ]
