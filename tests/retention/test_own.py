"""My retention: expected against what happened, the records behind each figure, and who sees it when."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account, User
from accounts.selectors import company_today
from accounts.services.care import assign_account_manager
from pulsecheck.models import HandbackCredit, HandbackThanks
from retention.kpis.expected import PRECISION, kept_of
from retention.selectors.own import (
    BY_NAME,
    LEAST,
    MEASURES,
    closed_until,
    next_closing,
    own_page,
    own_records,
    own_span,
    team_rows,
)
from retention.selectors.own_lines import Line
from tests.factories import (
    AccountFactory,
    Cast,
    ClosedHandbackFactory,
    EnquiryFactory,
    FittedModelFactory,
    HandbackAttemptFactory,
    HandbackFactory,
    OrderFactory,
    PromiseFactory,
    ScoreFactory,
    ScoreRunFactory,
    TouchpointFactory,
    date_ago,
    days_ago,
    make_cast,
)


# ── the formula ────────────────────────────────────────────────────────
def test_kept_by_hand() -> None:
    kept = kept_of([(0.2, True), (0.2, False), (0.5, True), (0.1, True)])
    assert (kept.n, kept.stayed) == (4, 3)
    assert kept.expected == pytest.approx(3.0)
    assert kept.variance == pytest.approx(0.16 + 0.16 + 0.25 + 0.09)
    assert kept.half_width == pytest.approx(1.959964 * 0.66**0.5 / 4)
    assert kept.verdict == "unknown"
    # 1.96^2 * 0.165 / 0.01 = 63.4 predictions of this kind make it ten points
    assert kept.more_needed == 64 - 4


@pytest.mark.parametrize(
    ("stayed", "verdict"), [(100, "better"), (85, "as_expected"), (80, "as_expected"), (60, "worse")]
)
def test_a_verdict_needs_more_than_chance(stayed: int, verdict: str) -> None:
    assert kept_of([(0.2, number < stayed) for number in range(100)]).verdict == verdict


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.booleans()), min_size=1, max_size=60))
def test_enough_is_exactly_when_the_interval_is_narrow(said: list[tuple[float, bool]]) -> None:
    kept = kept_of(said)
    assert (kept.more_needed == 0) == (kept.half_width <= PRECISION * (1 + 1e-9))
    more = kept_of(said * 2)
    assert (more.more_needed or 0) <= (kept.more_needed or 0)


@pytest.mark.parametrize(
    ("today", "closed", "following"),
    [
        ("2026-11-22", "2026-10-31", "2026-12-08"),
        ("2026-11-07", "2026-09-30", "2026-11-08"),
        ("2026-11-08", "2026-10-31", "2026-12-08"),
        ("2026-01-03", "2025-11-30", "2026-01-08"),
        ("2026-03-08", "2026-02-28", "2026-04-08"),
    ],
)
def test_a_month_is_closed_a_week_after_it_has_ended(today: str, closed: str, following: str) -> None:
    day = dt.date.fromisoformat(today)
    assert closed_until(day) == dt.date.fromisoformat(closed)
    assert next_closing(day) == dt.date.fromisoformat(following)


# ── the records ────────────────────────────────────────────────────────


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def lines_of(name: str, person: User) -> list[Line]:
    return sorted(BY_NAME[name].find([person], own_span(company_today())), key=lambda line: line.on)


def counted(person: User) -> dict[str, tuple[int, int]]:
    """The figures of the page, and that they are those of the lines behind them."""
    page = own_page(person, company_today())
    figures = {one.measure.name: (one.now.good, one.now.n) for one in page.own}
    for name, figure in figures.items():
        behind = lines_of(name, person)
        assert figure == (sum(line.is_good for line in behind), len(behind)), name
    return figures


def predict(account: Account, days: int, probability: float) -> None:
    """A score of so many days ago, within a horizon of 30."""
    run = ScoreRunFactory(as_of=date_ago(days), horizon_days=30, published_at=days_ago(days - 1))
    if run.model is None:
        run.model = FittedModelFactory(horizon_days=30)
        run.save()
    ScoreFactory(account=account, run=run, churn_probability=probability, base_probability=0.3)


def test_expected_against_what_happened(cast: Cast) -> None:
    mine, lost = cast.account, AccountFactory(original_salesperson=cast.owner)
    not_mine = AccountFactory(original_salesperson=cast.stranger)
    for account in (mine, lost, not_mine):
        OrderFactory(account=account, ordered_at=days_ago(200))
        predict(account, 90, 0.25)
    predict(mine, 80, 0.9)  # its horizon overlaps the one before
    predict(mine, 40, 0.4)
    predict(mine, 10, 0.5)  # its horizon is not over
    OrderFactory(account=mine, ordered_at=days_ago(70))
    page = own_page(cast.owner, company_today())
    # newest first: 40 days ago, then 80, which leaves no room for 90
    assert [(line.probability, line.is_good) for line in lines_of("retention", cast.owner)] == [
        (0.9, True),
        (0.4, False),
    ]
    assert (page.kept.n, page.kept.stayed) == (2, 1)
    assert page.kept.expected == pytest.approx(0.1 + 0.6)
    assert page.kept_before.n == 0


def test_the_accounts_are_those_one_had_then(cast: Cast) -> None:
    OrderFactory(account=cast.account, ordered_at=days_ago(200))
    predict(cast.account, 90, 0.25)
    newcomer = cast.stranger
    newcomer.role = "account_manager"
    newcomer.save()
    assign_account_manager([cast.account], newcomer, cast.manager)
    assert [line.account for line in lines_of("retention", cast.teammate)] == [cast.account.pk]
    assert lines_of("retention", newcomer) == []
    for following in (cast.owner, cast.teammate, newcomer):  # only who had it before the first change counts
        assign_account_manager([cast.account], following, cast.manager)
    assert [line.account for line in lines_of("retention", cast.teammate)] == [cast.account.pk]
    assert lines_of("retention", newcomer) == []
    assert counted(cast.teammate)["retention"] == (0, 1)


def test_promises_questions_and_pulses_in_time(cast: Cast) -> None:
    me, account = cast.owner, cast.account
    PromiseFactory(account=account, made_by=me, due_on=date_ago(5), kept_on=date_ago(5), status="kept")
    PromiseFactory(account=account, made_by=me, due_on=date_ago(4), kept_on=date_ago(2), status="late")
    PromiseFactory(account=account, made_by=me, due_on=date_ago(3))
    PromiseFactory(account=account, made_by=me, due_on=date_ago(-3))
    PromiseFactory(account=account, made_by=cast.teammate, due_on=date_ago(3))
    assert [line.outcome for line in lines_of("promises", me)] == ["kept in time", "kept late", "not kept"]

    EnquiryFactory(account=account, owner=me, received_at=days_ago(40), responded_at=days_ago(39.99))
    EnquiryFactory(account=account, owner=me, received_at=days_ago(30))
    EnquiryFactory(account=account, owner=me, received_at=timezone.now())
    EnquiryFactory(account=account, received_at=days_ago(20))
    assert [line.is_good for line in lines_of("answers", me)] == [True, False]

    done = {"state": "done", "assignee": me}
    TouchpointFactory(account=account, due_on=date_ago(9), finished_on=date_ago(9), **done)
    TouchpointFactory(account=account, due_on=date_ago(8), finished_on=date_ago(7), **done)
    TouchpointFactory(
        account=account, assignee=me, due_on=date_ago(7), state="skipped", finished_on=date_ago(7)
    )
    TouchpointFactory(account=account, assignee=me, due_on=date_ago(6))
    assert [line.outcome for line in lines_of("pulses", me)] == [
        "asked in time",
        "asked late",
        "not asked yet",
    ]
    figures = counted(me)
    assert [figures[name] for name in ("promises", "answers", "pulses")] == [(1, 3), (1, 2), (1, 3)]
    assert counted(cast.teammate)["promises"] == (0, 1)


def test_handbacks_saves_and_thanks(cast: Cast) -> None:
    me = cast.owner

    def handed(days: int, **fields: Any) -> Any:
        opened = days_ago(days)
        due = opened + dt.timedelta(days=1)
        made = {"salesperson": me, "opened_at": opened, "due_at": due, "due_on": due.date()}
        return HandbackFactory(account=AccountFactory(original_salesperson=me), **made | fields)

    handed(20, state="accepted", accepted_at=days_ago(19.5))
    handed(18, state="accepted", accepted_at=days_ago(15))
    handed(16)
    handed(0)
    passed = handed(14, salesperson=cast.teammate, state="accepted", accepted_at=days_ago(13.5))
    HandbackAttemptFactory(
        handback=passed, user=me, kind="pass_on", happened_at=days_ago(13), note="Olga has not answered."
    )
    away = handed(12, salesperson=cast.teammate, state="accepted", accepted_at=days_ago(11.5))
    HandbackAttemptFactory(
        handback=away, user=me, kind="pass_on", happened_at=days_ago(11), note="Olga is away."
    )
    HandbackAttemptFactory(handback=away, user=me, kind="decline", happened_at=days_ago(10), note="Ask Tim.")
    assert [line.outcome for line in lines_of("handbacks", me)] == [
        "answered in time",
        "answered late",
        "not answered yet",
        "not answered, went to somebody else",
        "declined in time",
    ]

    saved = ClosedHandbackFactory(account=AccountFactory(), salesperson=me, outcome="saved")
    HandbackCredit.objects.create(handback=saved, person=me, part="Called them")
    HandbackThanks.objects.create(handback=saved, by=cast.teammate, words="Well done")
    HandbackThanks.objects.create(handback=saved, by=me, words="Thank you all")
    assert [line.is_good for line in lines_of("saves", me)] == [True]
    assert [line.what for line in lines_of("thanks", me)] == ["Well done"]
    figures = counted(me)
    assert [figures[name] for name in ("handbacks", "saves", "thanks")] == [(3, 6), (1, 1), (1, 1)]


# ── the pages ──────────────────────────────────────────────────────────
def keep(person: User, account: Account, kept: int, broken: int) -> None:
    for number in range(kept + broken):
        day = date_ago(60)
        done = {"kept_on": day, "status": "kept"} if number < kept else {}
        PromiseFactory(account=account, made_by=person, due_on=day, made_on=date_ago(80), **done)


def test_help_is_for_the_weakest_and_for_nothing_that_is_few(cast: Cast, client: Client) -> None:
    me, today = cast.owner, company_today()
    keep(me, cast.account, kept=LEAST - 1, broken=0)
    for _ in range(LEAST - 1):
        EnquiryFactory(account=cast.account, owner=me, received_at=days_ago(30))
    assert own_page(me, today).weakest is None
    keep(me, cast.account, kept=0, broken=2)
    weakest = own_page(me, today).weakest
    assert weakest is not None
    assert weakest.measure.name == "promises"
    EnquiryFactory(account=cast.account, owner=me, received_at=days_ago(30))
    weakest = own_page(me, today).weakest
    assert weakest is not None
    assert weakest.measure.name == "answers"
    client.force_login(me)
    page = client.get("/my-retention/").content.decode()
    assert "Answer the oldest first" in page
    assert "/enquiries/?whose=mine" in page


def test_every_figure_opens_as_many_records(cast: Cast, client: Client) -> None:
    keep(cast.owner, cast.account, kept=3, broken=2)
    client.force_login(cast.owner)
    for measure in MEASURES:
        records, share = own_records(cast.owner, measure, own_span(company_today()))
        answer = client.get(f"/my-retention/{measure.name}/")
        assert answer.status_code == client.get(f"/my-retention/{measure.name}/?before").status_code == 200
        assert len(answer.context["records"]) == len(records) == share.n
    assert client.get("/my-retention/nothing/").status_code == 404


def test_nobody_reads_a_colleagues_figures(cast: Cast, client: Client) -> None:
    keep(cast.teammate, cast.account, kept=0, broken=7)
    client.force_login(cast.owner)
    for address in ("/my-retention/", "/my-retention/promises/", "/my-retention/?person=2"):
        page = client.get(address).content.decode()
        assert "Tim Teammate" not in page
        assert "of 7" not in page


def test_an_account_one_no_longer_sees_is_counted_and_not_named(cast: Cast, client: Client) -> None:
    foreign = AccountFactory(name="Gone Away Inn", original_salesperson=cast.stranger)
    PromiseFactory(account=foreign, made_by=cast.owner, text="A secret of theirs", due_on=date_ago(3))
    client.force_login(cast.owner)
    page = client.get("/my-retention/promises/").content.decode()
    assert "Gone Away Inn" not in page
    assert "A secret of theirs" not in page
    assert "An account you no longer see" in page


def test_a_manager_sees_closed_months_of_the_people_they_lead_by_name(cast: Cast, client: Client) -> None:
    today = company_today()
    closed = closed_until(today)
    made = {"account": cast.account, "made_on": date_ago(200)}
    PromiseFactory(made_by=cast.owner, due_on=closed, kept_on=closed, status="kept", **made)
    PromiseFactory(
        made_by=cast.owner, due_on=closed + dt.timedelta(days=1), kept_on=today, status="kept", **made
    )
    rows = team_rows(cast.manager, today)
    assert [row.person for row in rows[:2]] == [cast.owner, cast.teammate]
    shares = {measure.name: share for measure, share in rows[0].shares}
    assert (shares["promises"].good, shares["promises"].n) == (1, 1)
    client.force_login(cast.manager)
    page = client.get("/team-retention/").content.decode()
    assert "Olga Owner" in page
    assert cast.stranger.name not in page


def test_pages_take_as_many_queries_for_many_records_and_people(
    cast: Cast, client: Client, django_assert_max_num_queries: Any
) -> None:
    for days in (90, 40):
        predict(cast.account, days, 0.3)
    OrderFactory(account=cast.account, ordered_at=days_ago(200))
    keep(cast.owner, cast.account, kept=20, broken=5)
    for user, address in ((cast.owner, "/my-retention/"), (cast.administrator, "/team-retention/")):
        client.force_login(user)
        client.get(address)
        with django_assert_max_num_queries(60):
            assert client.get(address).status_code == 200
