"""What happened besides orders, from real tables to arrays and from there into a run."""

import datetime as dt
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import Account, Company, Contact, Interaction, Issue, OwnerChange
from accounts.services.care import assign_account_manager
from accounts.services.people import record_departure
from retention.datasets import date_of, load_signals
from retention.models import Score
from retention.scoring.history import UNKNOWN_DAY
from retention.scoring.signals import Events
from retention.services import scoring
from tests.factories import (
    AccountFactory,
    AccountManagerFactory,
    AdministratorFactory,
    ChurnReason,
    ClosedHandbackFactory,
    ContactFactory,
    HandbackAttemptFactory,
    HandbackFactory,
    InteractionFactory,
    IssueFactory,
    ManagerFactory,
    PromiseFactory,
    PulseCheckFactory,
    SalesRepFactory,
)
from tests.retention.book import AS_OF, fill_book, scores_by_account

pytestmark = pytest.mark.django_db
DAY = dt.date(2026, 3, 10)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def told(records: Events | None, *columns: str) -> list[tuple[Any, ...]]:
    """Rows as dates (None = unknown) and numbers, in order of account."""
    assert records is not None
    owner = np.repeat(np.arange(len(records.offsets) - 1), np.diff(records.offsets))

    def plain(name: str, value: int) -> Any:
        if name in {"day", "until", "due", "kept"}:
            return None if value == UNKNOWN_DAY else date_of(value).isoformat()
        return int(value)

    return [
        (int(owner[at]), *(plain(name, records.columns[name][at]) for name in columns))
        for at in range(len(owner))
    ]


def test_an_empty_company_has_no_kind_at_all() -> None:
    AccountFactory()
    assert load_signals(DAY).kinds() == {}


def test_issues_and_promises_as_they_were_known_that_day() -> None:
    one, two = AccountFactory(), AccountFactory()
    IssueFactory(
        account=two, opened_at=utc("2026-03-01 10:00"), resolved_at=utc("2026-03-11 00:30"), severity="high"
    )
    IssueFactory(
        account=one, opened_at=utc("2026-03-05 10:00"), resolved_at=utc("2026-03-06 10:00"), severity="low"
    )
    IssueFactory(account=one, opened_at=utc("2026-03-11 00:00"), resolved_at=None)
    PromiseFactory(account=one, made_on=dt.date(2026, 3, 1), due_on=dt.date(2026, 3, 20), status="open")
    PromiseFactory(
        account=one, made_on=dt.date(2026, 3, 2), due_on=dt.date(2026, 3, 5), kept_on=dt.date(2026, 3, 4),
        status="kept",
    )  # fmt: skip
    PromiseFactory(account=two, made_on=dt.date(2026, 3, 11), due_on=dt.date(2026, 3, 12), status="open")
    signals = load_signals(DAY)
    assert told(signals.issues, "day", "until", "weight") == [
        (0, "2026-03-05", "2026-03-06", 1),
        (1, "2026-03-01", None, 3),
    ]
    assert told(signals.promises, "day", "due", "kept") == [
        (0, "2026-03-01", "2026-03-20", None),
        (0, "2026-03-02", "2026-03-05", "2026-03-04"),
    ]


def test_any_contact_counts() -> None:
    account = AccountFactory()
    InteractionFactory(account=account, happened_at=utc("2026-03-01 10:00"))
    InteractionFactory(account=account, happened_at=utc("2026-03-01 15:00"))
    PulseCheckFactory(account=account, taken_at=utc("2026-03-04 10:00"), score=2)
    handback = HandbackFactory(account=account, opened_at=utc("2026-03-06 08:00"))
    HandbackAttemptFactory(handback=handback, happened_at=utc("2026-03-07 10:00"), kind="call")
    HandbackAttemptFactory(handback=handback, happened_at=utc("2026-03-08 10:00"), kind="escalate")
    signals = load_signals(DAY)
    days = [day for _, day in told(signals.touches, "day")]
    assert days == ["2026-03-01", "2026-03-01", "2026-03-04", "2026-03-07"]
    assert told(signals.pulses, "day", "score") == [(0, "2026-03-04", 2)]
    assert told(signals.handbacks, "day", "until", "lost") == [(0, "2026-03-06", None, 0)]


def test_a_handback_closed_later_is_open() -> None:
    account = AccountFactory()
    lost = {"account": account, "outcome": "lost", "churn_reason": ChurnReason.objects.first()}
    ClosedHandbackFactory(**lost, opened_at=utc("2026-03-01 08:00"), closed_at=utc("2026-03-10 08:00"))
    ClosedHandbackFactory(**lost, opened_at=utc("2026-03-10 08:00"), closed_at=utc("2026-03-11 08:00"))
    assert told(load_signals(DAY).handbacks, "day", "until", "lost") == [
        (0, "2026-03-01", "2026-03-10", 1),
        (0, "2026-03-10", None, 0),
    ]


def test_people_there_count_from_the_day_we_wrote_them_down() -> None:
    account = AccountFactory()
    ContactFactory(account=account, role="champion", is_active=False, left_on=dt.date(2026, 3, 9))
    ContactFactory(account=account, role="billing")
    ContactFactory(account=account, is_active=False, left_on=None)
    Contact.objects.update(created_at=utc("2026-02-01 10:00"))
    ContactFactory(account=account)
    signals = load_signals(DAY)
    assert told(signals.people, "day", "until") == [(0, "2026-02-01", "2026-03-09"), (0, "2026-02-01", None)]
    assert told(signals.departures, "day", "weight") == [(0, "2026-03-09", 2)]


def test_days_end_in_the_companys_time_zone() -> None:
    Company.objects.update_or_create(pk=1, defaults={"time_zone": "Pacific/Apia"})
    cache.clear()
    InteractionFactory(happened_at=utc("2026-03-10 11:30"))  # half past midnight on the 11th in Apia
    assert load_signals(DAY).touches is None
    assert told(load_signals(dt.date(2026, 3, 11)).touches, "day") == [(0, "2026-03-11")]
    cache.clear()


class TestOwners:
    def test_every_way_of_changing_an_owner_is_noted(self) -> None:
        boss, old, new, heir = AdministratorFactory(), *(AccountManagerFactory() for _ in range(3))
        account = AccountFactory(account_manager=old)
        assert not OwnerChange.objects.exists()
        assign_account_manager([account], new, boss)
        record_departure(boss, new, timezone.localdate(), heir)
        Account.objects.filter(pk=account.pk).update(account_manager=None)
        Account.objects.filter(pk=account.pk).update(name="Other")
        steps = OwnerChange.objects.order_by("pk").values_list("role", "from_user", "to_user")
        assert list(steps) == [
            ("operations", old.pk, new.pk),
            ("operations", new.pk, heir.pk),
            ("operations", heir.pk, None),
        ]

    def test_strangers_see_none_of_it(self) -> None:
        mine, stranger = AccountManagerFactory(), SalesRepFactory()
        account = AccountFactory(account_manager=AccountManagerFactory())
        assign_account_manager([account], mine, ManagerFactory())
        assert OwnerChange.objects.visible_to(mine).count() == 1
        assert not OwnerChange.objects.visible_to(stranger).exists()

    def test_a_vacancy_lasts_until_somebody_takes_over(self) -> None:
        gone, heir = AccountManagerFactory(left_on=dt.date(2026, 2, 1)), AccountManagerFactory()
        left = AccountFactory(account_manager=gone)
        taken = AccountFactory(account_manager=heir)
        emptied = AccountFactory(account_manager=heir)
        never = AccountFactory(account_manager=None, original_salesperson=None)
        change = {"role": "operations"}
        OwnerChange.objects.create(
            account=taken, from_user=gone, to_user=heir, changed_at=utc("2026-02-20 10:00"), **change
        )
        OwnerChange.objects.create(
            account=emptied, from_user=heir, to_user=None, changed_at=utc("2026-03-01 10:00"), **change
        )
        OwnerChange.objects.create(
            account=emptied, from_user=None, to_user=heir, changed_at=utc("2026-03-15 10:00"), **change
        )
        signals = load_signals(DAY)
        place = {pk: at for at, pk in enumerate(signals.account_ids.tolist())}
        assert told(signals.vacancies, "day", "until") == [
            (place[left.pk], "2026-02-01", None),
            (place[taken.pk], "2026-02-01", "2026-02-20"),
            (place[emptied.pk], "2026-03-01", None),
        ]
        assert told(signals.owners, "day") == [(place[taken.pk], "2026-02-20")]
        assert never.pk in place
        assert told(load_signals(dt.date(2026, 2, 10)).vacancies, "day", "until") == [
            (place[left.pk], "2026-02-01", None),
            (place[taken.pk], "2026-02-01", None),
        ]


def test_a_part_of_the_book_is_read_like_the_whole() -> None:
    accounts = [AccountFactory() for _ in range(4)]
    for account in accounts:
        IssueFactory(account=account, opened_at=utc("2026-03-01 10:00"))
    middle = accounts[1].pk, accounts[2].pk
    whole, part = load_signals(DAY), load_signals(DAY, *middle)
    chosen = load_signals(DAY, only=np.array(middle))
    assert part.issues is not None
    assert chosen.issues is not None
    cut = whole.between(*middle).issues
    assert cut is not None
    for one in (part.issues, chosen.issues):
        assert one.offsets.tolist() == cut.offsets.tolist()
        assert one.day.tolist() == cut.day.tolist()


# ── a run over such records ────────────────────────────────────────────
def trouble(accounts: list[Account]) -> None:
    """An issue soon before most of those who stopped; contacts with everybody."""
    begin = dt.datetime.combine(AS_OF, dt.time(12), dt.UTC)
    issues, talks = [], []
    for number, account in enumerate(accounts):
        last = account.orders.order_by("-ordered_at").first()
        if last is None:
            continue
        if last.ordered_at < begin - dt.timedelta(days=60) and number % 5:
            opened = last.ordered_at - dt.timedelta(days=number % 40)
            issues.append(Issue(account=account, external_id=f"I{number}", opened_at=opened, severity="high"))
        for step in range(3):
            when = begin - dt.timedelta(days=(number * 37 + step * 101) % 380)
            talks.append(
                Interaction(account=account, external_id=f"T{number}-{step}", happened_at=when, kind="call")
            )
    Issue.objects.bulk_create(issues)
    Interaction.objects.bulk_create(talks)


def test_a_run_uses_them_and_says_which_helped(monkeypatch: pytest.MonkeyPatch) -> None:
    trouble(fill_book(150))
    run = scoring.score_book(AS_OF, 60, takes_action=False)
    assert run.model is not None
    found = run.model.summary["signals"]
    assert found["taken"]
    assert found["factors"]["service"]["kept"]
    assert found["factors"]["pulse"]["known"] == 0
    whole = scores_by_account()
    shares = Score.objects.filter(as_of=AS_OF).values_list("known_share", flat=True)
    assert all(share is not None and 0 < share < 100 for share in shares)
    assert any(reason["factor"] == "service" for score in Score.objects.all() for reason in score.reasons)
    # The same in small parts by workers that read their own part.
    monkeypatch.setattr(scoring, "CHUNK_ACCOUNTS", 40)
    again = scoring.fit_run(scoring.prepare_run(AS_OF, 60, takes_action=False))
    assert again.chunks.count() == 4
    while (chunk := scoring.claim_chunk(again.pk)) is not None:
        scoring.score_chunk(chunk)
    scoring.publish_run(again.pk)
    assert scores_by_account() == whole
