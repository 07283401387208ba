"""What customers answered: the figures with their intervals, and the answers themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Avg, Count, Exists, OuterRef, Q, QuerySet

from accounts.models import Account, User
from accounts.paging import Page, make_page
from accounts.selectors import keep_if_large
from pulsecheck.intervals import Interval, net_promoter_interval, share_interval
from pulsecheck.models import Survey, SurveyAnswer
from pulsecheck.models.surveys import LEAST_EASY, LEAST_RECOMMENDING, LEAST_SATISFIED, MOST_AGAINST
from pulsecheck.selectors.lists import behind

PAGE_SIZE = 50
SPANS = {"": ("Last 12 months", 365), "quarter": ("Last 90 days", 90), "month": ("Last 30 days", 30)}
WHICH = {"": "All answers", "open": "Loop still open", "bad": "Bad answers", "words": "With a comment"}
KEYS = ("span", "which", "segment", "q", "after")
FEW = 20  # answers below which a figure is said to be unsure


@dataclass(frozen=True)
class Filters:
    """What the reader asked for; values that make no sense are left out."""

    span: str = ""
    which: str = ""
    segment: str = ""
    text: str = ""
    after: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Filters:
        kept = {k: query[k].strip() for k in KEYS if query.get(k, "").strip() and "\0" not in query[k]}
        return cls(
            span=kept["span"] if kept.get("span") in SPANS else "",
            which=kept["which"] if kept.get("which") in WHICH else "",
            segment=kept.get("segment", ""),
            text=kept.get("q", ""),
            after=kept.get("after", ""),
            query=kept,
        )

    @property
    def are_set(self) -> bool:
        """Whether anything narrows the list."""
        return bool(set(self.query) - {"after"})

    @property
    def days(self) -> int:
        return SPANS[self.span][1]


@dataclass(frozen=True)
class Question:
    """One of the three measures: the figure with its interval, and how often each value was ticked, lowest first.
    `share` figures are 0..1, the net promoter score is in points; `mean` is of the ticked values."""

    name: str
    title: str
    says: str
    figure: Interval | None
    is_share: bool
    mean: float | None
    counts: list[tuple[int, int]]
    most: int

    @property
    def n(self) -> int:
        return self.figure.n if self.figure else 0

    @property
    def is_unsure(self) -> bool:
        """Too few answers to rest anything on."""
        return 0 < self.n < FEW


@dataclass(frozen=True)
class Results:
    """What came back of the surveys sent in a span. Those that can still be answered count as not answered yet."""

    sent: int
    answered: int
    waiting: int
    response: Interval | None
    bad: int
    loops_open: int
    questions: list[Question]


def survey_results(user: User, filters: Filters, now: dt.datetime) -> Results:
    """The figures over the accounts `user` sees; three queries."""
    asked = (filters.span, filters.segment)
    return keep_if_large(
        "surveys", user, "all", asked, lambda: _results(user, filters, now), lambda results: results.sent
    )


def _results(user: User, filters: Filters, now: dt.datetime) -> Results:
    surveys = _sent(user, filters, now).filter(cancelled_at=None)
    answered = Exists(SurveyAnswer.objects.filter(survey=OuterRef("pk")))
    counted = surveys.order_by().aggregate(
        sent=Count("pk"),
        answered=Count("pk", filter=Q(answered)),
        waiting=Count("pk", filter=~Q(answered) & Q(expires_at__gt=now)),
    )
    answers = SurveyAnswer.objects.filter(survey__in=surveys.order_by()).order_by()
    facts = answers.aggregate(
        bad=Count("pk", filter=Q(is_bad=True)),
        loops_open=Count(
            "pk", filter=Q(is_bad=True, loop_closed_at=None) & (Q(issue=None) | Q(issue__told_at=None))
        ),
        nps=Avg("nps"),
        csat=Avg("csat"),
        ces=Avg("ces"),
    )
    questions = _questions(answers, facts)
    response = share_interval(counted["answered"], counted["sent"])
    return Results(
        **counted, response=response, bad=facts["bad"], loops_open=facts["loops_open"], questions=questions
    )


def _questions(answers: QuerySet[SurveyAnswer], means: Mapping[str, float | None]) -> list[Question]:
    """All three from one pass over the answers: how often each combination was ticked."""
    ticked: dict[str, dict[int, int]] = {"nps": {}, "csat": {}, "ces": {}}
    rows = answers.values_list("nps", "csat", "ces").annotate(times=Count("pk"))
    for nps, csat, ces, times in rows:
        for name, value in (("nps", nps), ("csat", csat), ("ces", ces)):
            if value is not None:
                ticked[name][value] = ticked[name].get(value, 0) + times
    return [
        _question(
            "nps",
            "Would recommend us",
            "Net promoter score: the share of 9 and 10 less the share of 0 to 6, in points from -100 to 100.",
            ticked["nps"],
            range(11),
            means["nps"],
        ),
        _question(
            "csat",
            "Satisfied",
            "Customer satisfaction: the share of 4 and 5 of 5.",
            ticked["csat"],
            range(1, 6),
            means["csat"],
        ),
        _question(
            "ces",
            "Found it easy",
            "Customer effort: the share of 5, 6 and 7 of 7.",
            ticked["ces"],
            range(1, 8),
            means["ces"],
        ),
    ]


def _question(
    name: str, title: str, says: str, ticked: dict[int, int], scale: range, mean: float | None
) -> Question:
    n = sum(ticked.values())
    if name == "nps":
        figure = net_promoter_interval(
            _above(ticked, LEAST_RECOMMENDING), n - _above(ticked, MOST_AGAINST + 1), n
        )
    else:
        figure = share_interval(_above(ticked, LEAST_SATISFIED if name == "csat" else LEAST_EASY), n)
    counts = [(value, ticked.get(value, 0)) for value in scale]
    return Question(name, title, says, figure, name != "nps", mean, counts, max(ticked.values(), default=0))


def _above(ticked: dict[int, int], least: int) -> int:
    return sum(times for value, times in ticked.items() if value >= least)


def _sent(user: User, filters: Filters, now: dt.datetime) -> QuerySet[Survey]:
    rows = Survey.objects.visible_to(user).filter(sent_at__gte=now - dt.timedelta(days=filters.days))
    if filters.segment:
        rows = rows.filter(account__segment=filters.segment)
    return rows


def answer_page(user: User, filters: Filters, now: dt.datetime) -> Page:
    """A page of answers, the newest first; one query. Open loops come from any time: none is forgotten by the calendar."""
    rows: QuerySet[SurveyAnswer] = SurveyAnswer.objects.visible_to(user)
    if filters.which == "open":
        rows = SurveyAnswer.objects.visible_to(user).with_open_loop()
    else:
        rows = rows.filter(answered_at__gte=now - dt.timedelta(days=filters.days))
    if filters.which == "bad":
        rows = rows.filter(is_bad=True)
    elif filters.which == "words":
        rows = rows.exclude(comment="")
    if filters.segment:
        rows = rows.filter(account__segment=filters.segment)
    if filters.text:
        rows = rows.filter(account__name__icontains=filters.text)
    related = rows.select_related("account", "survey__contact", "issue__owner")
    found = list(behind(related, filters.after, "answered_at", newest_first=True)[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    cursor = f"{shown[-1].answered_at.isoformat()}~{shown[-1].pk}" if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, filters.query, cursor, words)


def surveys_of(account: Account, most: int = 10) -> list[Survey]:
    """The last surveys of one account, each with its contact and answer."""
    return list(account.surveys.select_related("contact", "answer__issue", "sent_by")[:most])


def segments_of(user: User) -> list[str]:
    """Segments whose customers were asked; kept for some minutes where many were."""

    def find() -> tuple[list[str], int]:
        rows = Survey.objects.visible_to(user).exclude(account__segment="").order_by()
        counted = dict(rows.values_list("account__segment").annotate(n=Count("pk")))
        return sorted(counted), sum(counted.values())

    return keep_if_large("survey-segments", user, "all", (), find, lambda found: found[1])[0]
