"""What customers hear from us: what counts, how it leans, who sees it, and that nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts import selectors
from accounts.models import Account, Interaction
from accounts.selectors import company_today
from pulsecheck.message_mix import CARE, FEW, LEAST, PROMOTION, Mix
from pulsecheck.models import MessageMix
from pulsecheck.selectors.lists import ListFilters
from pulsecheck.selectors.messages import message_page, mix_by, mix_of
from pulsecheck.services.messages import recount_messages
from tests.factories import (
    AccountFactory,
    Cast,
    EnquiryFactory,
    InteractionFactory,
    IssueFactory,
    PulseCheckFactory,
    SurveyAnswerFactory,
    days_ago,
    make_cast,
)

HOSTILE = '<script>alert("x")</script>'


# ── the rule ───────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("mix", "leaning"),
    [
        (Mix(), FEW),
        (Mix(promotion=LEAST - 1), FEW),
        (Mix(promotion=LEAST), PROMOTION),
        (Mix(information=3, promotion=3), CARE),
        (Mix(service=2, promotion=3), PROMOTION),
        (Mix(service=2, promotion=3, unsaid=5), PROMOTION),
        (Mix(service=2, promotion=3, unsaid=6), FEW),
    ],
)
def test_which_outweighs(mix: Mix, leaning: str) -> None:
    assert mix.leaning == leaning
    assert bool(mix.why_unknown) == (leaning == FEW)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_shares_are_of_what_is_known_and_more_selling_never_looks_like_less(
    information: int, service: int, promotion: int, unsaid: int
) -> None:
    mix = Mix(information, service, promotion, unsaid)
    more = Mix(information, service, promotion + 1, unsaid)
    assert mix.promotion_share is None or 0 <= mix.promotion_share <= 1
    assert (more.promotion_share or 0) >= (mix.promotion_share or 0)
    if mix.leaning == PROMOTION:
        assert promotion > information + service
        assert more.leaning == PROMOTION


# ── counting ───────────────────────────────────────────────────────────
@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def sell(account: Account, times: int = 1, **fields: Any) -> None:
    InteractionFactory.create_batch(times, account=account, message_class="promotion", **fields)


def test_what_counts_as_a_message(cast: Cast) -> None:
    account, now = cast.account, timezone.now()
    sell(account)
    InteractionFactory(account=account)  # nobody said what for
    InteractionFactory(account=account, direction="in", message_class="promotion")  # theirs
    sell(account, happened_at=days_ago(370))  # too long ago
    PulseCheckFactory(account=account, taken_by=cast.owner)
    PulseCheckFactory(
        account=account, taken_by=cast.owner, insight_shared="Oat milk", insight_reaction="useful"
    )
    SurveyAnswerFactory(survey__account=account)
    SurveyAnswerFactory(survey__account=account, survey__cancelled_at=now)
    EnquiryFactory(account=account, responded_at=now)
    EnquiryFactory(account=account)
    IssueFactory(account=account, resolved_at=now, told_at=now)
    IssueFactory(account=account)

    assert mix_of(account, company_today()) == Mix(information=1, service=4, promotion=1, unsaid=1)
    assert recount_messages() == 1
    assert MessageMix.objects.get().mix == mix_of(account, company_today())
    assert recount_messages() == 0
    account.interactions.all().delete()
    for model in (account.pulse_checks, account.surveys, account.enquiries, account.issues):
        model.all().delete()
    assert recount_messages() == 1
    assert not MessageMix.objects.exists()


def test_by_team_and_segment_the_one_that_sells_most_stands_first(cast: Cast) -> None:
    hotels, cafe = cast.account, AccountFactory(segment="Cafes", account_manager=cast.stranger)
    sell(hotels, 2)
    InteractionFactory.create_batch(4, account=hotels, message_class="service")
    sell(cafe, 6)
    recount_messages()
    parts = mix_by(cast.administrator, "segment")
    assert [(p.label, p.mix.promotion, p.mix.said, p.accounts, p.promotional, p.caring) for p in parts] == [
        ("Cafes", 6, 6, 1, 1, 0),
        ("Hotels", 2, 6, 1, 0, 1),
    ]
    assert sum(p.accounts for p in mix_by(cast.administrator, "team")) == 2
    assert [p.label for p in mix_by(cast.manager, "segment")] == ["Hotels"]


def test_sums_over_many_accounts_are_kept_for_whoever_sees_the_same(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "LARGE", 0)
    cache.clear()
    sell(cast.account, 2)
    recount_messages()
    assert [p.mix.promotion for p in mix_by(cast.administrator, "segment")] == [2]
    sell(cast.account)
    recount_messages()
    assert [p.mix.promotion for p in mix_by(cast.administrator, "segment")] == [2]
    assert [p.mix.promotion for p in mix_by(cast.manager, "segment")] == [3]
    monkeypatch.undo()
    cache.clear()
    assert [p.mix.promotion for p in mix_by(cast.administrator, "segment")] == [3]


# ── pages ──────────────────────────────────────────────────────────────
def test_logging_asks_what_for_and_never_guesses(cast: Cast, client: Client) -> None:
    client.force_login(cast.owner)
    address = reverse("retention:log_interaction", args=[cast.account.pk])
    said = {"subject": "Spoke", "kind": "call"}
    unsaid = client.post(address, said, follow=True)
    assert "Nobody said what it was for" in unsaid.content.decode()
    client.post(address, said | {"kind": "ticket"})
    client.post(address, said | {"message_class": "information"})
    assert client.post(address, said | {"message_class": "spam"}).status_code == 422
    assert list(Interaction.objects.order_by("pk").values_list("message_class", flat=True)) == [
        "",
        "service",
        "information",
    ]
    assert MessageMix.objects.get().mix == Mix(information=1, service=1, unsaid=1)


def test_promotion_that_outweighs_is_warned_of(cast: Cast, client: Client) -> None:
    sell(cast.account, LEAST)
    client.force_login(cast.owner)
    address = reverse("retention:log_interaction", args=[cast.account.pk])
    answer = client.post(
        address, {"subject": "An offer", "kind": "email", "message_class": "promotion"}, follow=True
    )
    page = answer.content.decode()
    assert "bring information or help next" in page
    assert f"{LEAST + 1} of {LEAST + 1} messages in a year sell something" in page
    own = client.get(reverse("pulsecheck:account_messages", args=[cast.account.pk])).content.decode()
    assert "Promotion outweighs" in own


def test_saying_later_what_a_message_was_for(cast: Cast, client: Client) -> None:
    row, theirs = (
        InteractionFactory(account=cast.account),
        InteractionFactory(account=cast.account, direction="in"),
    )
    client.force_login(cast.owner)
    for _ in range(2):
        client.post(reverse("pulsecheck:say_class", args=[row.pk]), {"message_class": "service"})
    client.post(reverse("pulsecheck:say_class", args=[theirs.pk]), {"message_class": "service"})
    client.post(reverse("pulsecheck:say_class", args=[row.pk]), {"message_class": "nonsense"})
    row.refresh_from_db()
    theirs.refresh_from_db()
    assert (row.message_class, theirs.message_class) == ("service", "")
    assert MessageMix.objects.get().mix == Mix(service=1)


def test_every_number_opens_as_many_records(cast: Cast, client: Client) -> None:
    sell(cast.account, 3)
    InteractionFactory.create_batch(2, account=cast.account)
    PulseCheckFactory(account=cast.account, taken_by=cast.owner)
    recount_messages()
    client.force_login(cast.administrator)
    mix = mix_of(cast.account, company_today())
    for name, number in (("promotion", 3), ("service", 1), ("information", 0), ("unsaid", 2)):
        assert getattr(mix, name) == number
        for address in (
            f"/messages/sent/?whose=all&segment=Hotels&state={name}",
            f"/messages/sent/?whose=all&team={cast.team.pk}&state={name}",
            f"/accounts/{cast.account.pk}/messages/?state={name}",
        ):
            assert len(client.get(address).context["page"].rows) == number, address


def test_messages_page_through_all_kinds_without_losing_one(cast: Cast, client: Client) -> None:
    moment = days_ago(30)
    sell(cast.account, 40, happened_at=moment)
    PulseCheckFactory.create_batch(40, account=cast.account, taken_by=cast.owner, taken_at=moment)
    sell(cast.account, 30)
    client.force_login(cast.owner)
    seen, address = [], "/messages/sent/?whose=all"
    while address:
        page = client.get(address).context["page"]
        seen += [(row.source, row.pk) for row in page.rows]
        address = f"/messages/sent/{page.next_url}" if page.next_url else ""
    assert len(seen) == len(set(seen)) == 110


def test_every_kind_of_message_says_what_its_record_says(cast: Cast, django_assert_num_queries: Any) -> None:
    account, now = cast.account, timezone.now()
    call = InteractionFactory(account=account, kind="call", subject="", note="Spoke of milk", user=cast.owner)
    mail = InteractionFactory(account=account, kind="email", subject="Offer", note="Long", user=None)
    pulse = PulseCheckFactory(
        account=account, taken_by=cast.owner, insight_shared="Oat milk", insight_reaction="useful"
    )
    plain = PulseCheckFactory(account=account, taken_by=cast.owner)
    survey = SurveyAnswerFactory(survey__account=account).survey
    enquiry = EnquiryFactory(account=account, responded_at=now, responded_by=cast.owner)
    issues = [
        IssueFactory(account=account, resolved_at=now, told_at=now, told_by=cast.owner, **said)
        for said in ({"description": "Broken " * 30}, {"description": "", "theme": "delivery"})
    ]
    issues += [IssueFactory(account=account, resolved_at=now, told_at=now, description="", theme="")]
    with django_assert_num_queries(1):
        page = message_page(cast.administrator, ListFilters(whose="all"), company_today())
    told = "Told them what came of an issue"
    assert {(m.source, m.pk): (m.what, m.about, m.by, m.account) for m in page.rows} == {
        ("interaction", call.pk): ("Call", "Spoke of milk", str(cast.owner), account.name),
        ("interaction", mail.pk): ("E-mail", "Offer", None, account.name),
        ("pulse", pulse.pk): ("Pulse check", "Told them: Oat milk", str(cast.owner), account.name),
        ("pulse", plain.pk): ("Pulse check", "", str(cast.owner), account.name),
        ("survey", survey.pk): ("Survey", survey.about, str(survey.sent_by), account.name),
        ("answer", enquiry.pk): (
            "Answer to their question", enquiry.subject, str(cast.owner), account.name,
        ),
        **{
            ("told", i.pk): (told, str(i), str(i.told_by) if i.told_by else None, account.name)
            for i in issues
        },
    }  # fmt: skip


def test_one_sees_the_messages_of_accounts_one_sees(cast: Cast) -> None:
    theirs = AccountFactory(account_manager=cast.stranger)
    sell(cast.account, 2)
    sell(theirs, 3)
    today = company_today()
    for user, whose, number in (
        (cast.owner, "mine", 2),
        (cast.owner, "all", 2),
        (cast.stranger, "mine", 3),
        (cast.manager, "mine", 0),
        (cast.manager, "all", 2),
        (cast.administrator, "all", 5),
    ):
        assert len(message_page(user, ListFilters(whose=whose), today).rows) == number, (user, whose)


def test_accounts_by_mix_page_by_page(cast: Cast, client: Client) -> None:
    MessageMix.objects.bulk_create(
        MessageMix(
            account=AccountFactory(), information=n % 3, service=5, promotion=n % 7, unsaid=0,
            promotion_share=(n % 7) / (5 + n % 3 + n % 7), leaning=Mix(n % 3, 5, n % 7).leaning,
        )
        for n in range(60)
    )  # fmt: skip
    client.force_login(cast.marketing)
    first = client.get("/messages/accounts/").context["page"]
    second = client.get(f"/messages/accounts/{first.next_url}").context["page"]
    shares = [row.promotion_share for row in [*first.rows, *second.rows]]
    assert len(shares) == 60
    assert shares == sorted(shares, reverse=True)
    for nonsense in ("after=x", "after=nan~1", "after=1~9999999999999999999999", "team=x", "state=x"):
        assert client.get(f"/messages/accounts/?{nonsense}").status_code == 200
        assert client.get(f"/messages/sent/?{nonsense}").status_code == 200


@pytest.mark.parametrize("address", ["/messages/", "/messages/accounts/", "/messages/sent/"])
def test_lists_take_as_many_queries_for_many(
    cast: Cast, client: Client, address: str, django_assert_max_num_queries: Any
) -> None:
    client.force_login(cast.administrator)
    for number in range(6):
        account = AccountFactory(segment=f"S{number}")
        sell(account, LEAST)
        PulseCheckFactory(account=account, taken_by=cast.owner)
    recount_messages()
    client.get(address)
    with django_assert_max_num_queries(18):
        assert client.get(address).status_code == 200


def test_what_was_said_is_shown_as_text(cast: Cast, client: Client) -> None:
    InteractionFactory(account=cast.account, subject=HOSTILE, message_class="promotion")
    client.force_login(cast.administrator)
    for address in ("/messages/sent/", f"/accounts/{cast.account.pk}/messages/"):
        page = client.get(address).content.decode()
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


def test_marketing_is_told_of_segments_that_hear_mostly_promotion(cast: Cast, client: Client) -> None:
    sell(cast.account, LEAST)
    recount_messages()
    client.force_login(cast.marketing)
    assert "Hotels: too much selling" in client.get("/").content.decode()
    client.force_login(cast.owner)
    assert "too much selling" not in client.get("/").content.decode()
