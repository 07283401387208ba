"""What opens handbacks: triggers, how right they were, muting, budgets; and how episodes end."""

import datetime as dt
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import AuditEntry, ChurnReason, Promise
from accounts.selectors import company_today
from notifications.models import Notification, Topic
from pulsecheck.errors import CareError, HandbackConflict
from pulsecheck.handback import Precision, chance_to_save
from pulsecheck.models import AlertBudget, Handback, HandbackCredit, HandbackReason, TriggerRule
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.risk import RiskSnapshot
from pulsecheck.selectors import triggers as selectors
from pulsecheck.services import (
    accept_handback,
    close_handback,
    counter_sign,
    dismiss_risk,
    log_attempt,
    open_handback,
    open_handbacks,
    say_thanks,
)
from pulsecheck.services.triggers import mute_if_wrong, save_budgets, unmute
from tests.factories import (
    AccountFactory,
    ClosedHandbackFactory,
    ContractFactory,
    HandbackFactory,
    PromiseFactory,
    PulseCheckFactory,
    SalesRepFactory,
    ScoreFactory,
    churn_reason,
    date_ago,
    days_ago,
    make_cast,
)
from tests.pulsecheck.test_handbacks import risk, told

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script> '; DROP TABLE x; -- {{ 7|add:7 }}"


@pytest.fixture
def cast():
    return make_cast()


# ── precision ──────────────────────────────────────────────────────────
def test_the_interval_is_wilsons():
    low, high = Precision(8, 10).interval
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)  # Agresti and Coull 1998, the same example
    assert Precision(0, 0).share is None


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_share_lies_in_its_interval(right, wrong):
    found = Precision(right, right + wrong)
    low, high = found.interval
    share = found.share if found.share is not None else 0.5
    assert -1e-9 <= low - 1e-9 <= share <= high + 1e-9 <= 1 + 2e-9


def test_few_saves_of_a_trigger_are_drawn_towards_all():
    assert chance_to_save(0, 0, 0, 0) == 0.5
    assert chance_to_save(2, 2, 30, 98) < 0.5 < chance_to_save(90, 100, 30, 98)


def judged(trigger, right, wrong, closed_at=None, **fields):
    for number in range(right + wrong):
        outcome = "saved" if number < right else "false_alarm"
        handback = ClosedHandbackFactory(outcome=outcome, closed_at=closed_at or days_ago(3), **fields)
        HandbackReason.objects.create(handback=handback, trigger=trigger, noted_at=handback.opened_at)


def test_a_trigger_that_is_wrong_too_often_mutes_itself_and_says_so(cast):
    rule = TriggerRule.objects.get(trigger="quiet")
    TriggerRule.objects.filter(pk=rule.pk).update(least_judged=8, least_precision=Decimal("0.50"))
    judged("quiet", 4, 3)
    assert mute_if_wrong(["quiet"]) == []  # seven are too few
    judged("quiet", 0, 1, closed_at=days_ago(200))
    assert mute_if_wrong(["quiet"]) == []  # one of long ago does not count

    handback = open_handback(cast.account, risk(tier="quiet"), HandbackTrigger.QUIET)
    dismiss_risk(handback, cast.owner, "Always shut in November")
    rule.refresh_from_db()
    assert rule.muted_at is None  # 4 of 8 is what is asked for

    judged("quiet", 0, 1)
    dismiss_risk(open_handback(AccountFactory(), risk(), HandbackTrigger.QUIET), cast.administrator, "No")
    rule.refresh_from_db()
    assert rule.muted_because == "Right in 4 of 10 handbacks, 40%; at least 50% is asked for."
    for leader in (cast.manager, cast.other_manager, cast.administrator):
        assert told(leader, Topic.SYSTEM) == ["The trigger “Quiet beyond its own rhythm” has muted itself"]
    assert AuditEntry.objects.filter(action="mute_trigger").count() == 1


def test_a_muted_trigger_opens_nothing_and_speaks_again_with_a_clean_record(cast):
    rule = TriggerRule.objects.get(trigger="quiet")
    TriggerRule.objects.filter(pk=rule.pk).update(muted_at=days_ago(1), least_judged=5)
    judged("quiet", 0, 9)

    wanted = [(cast.account.pk, risk(tier="quiet"), "quiet")]
    assert open_handbacks(wanted).silenced == 1
    assert not Handback.objects.unfinished().exists()
    # What another trigger says of the same account is heard.
    assert open_handbacks([*wanted, (cast.account.pk, risk(), "renewal")]).opened == 1

    unmute(rule, cast.administrator)
    unmute(rule, cast.administrator)
    assert mute_if_wrong(["quiet"]) == []
    assert open_handbacks(wanted).joined == 1
    assert AuditEntry.objects.filter(action="unmute_trigger").count() == 1


def test_not_a_risk_counts_against_the_trigger_that_would_have_said_so(cast, client):
    ScoreFactory(account=cast.account, tier="quiet")
    client.force_login(cast.owner)
    client.post(reverse("retention:dismiss", args=[cast.account.pk]), {"reason": "Shut for the winter"})
    assert selectors.precisions(TriggerRule.objects.all())["quiet"] == Precision(0, 1)


# ── what calls for a handback besides the score ────────────────────────
def test_broken_promises_and_shaky_renewals_call_for_handbacks(cast):
    today = company_today()
    shaky, safe, far = (AccountFactory(original_salesperson=cast.owner) for _ in range(3))
    for account, days, tier in ((shaky, 50, "watch"), (safe, 50, "steady"), (far, 200, "watch")):
        ContractFactory(account=account, starts_on=date_ago(200), ends_on=date_ago(-days), notice_days=0)
        ScoreFactory(account=account, tier=tier)
    notice = ContractFactory(
        account=AccountFactory(), starts_on=date_ago(200), ends_on=date_ago(-100), notice_days=60
    )
    ScoreFactory(account=notice.account, tier="watch")
    late = PromiseFactory(made_by=cast.owner, made_on=date_ago(30), due_on=date_ago(10))
    broken = PromiseFactory(made_on=date_ago(30), due_on=date_ago(2), status="broken")
    PromiseFactory(made_on=date_ago(30), due_on=date_ago(0))
    PromiseFactory(made_on=date_ago(99), due_on=date_ago(80))  # no news to anybody
    Promise.objects.update(text="Call back")

    found = {(pk, trigger): snapshot for pk, snapshot, trigger in selectors.find_triggers(today)}

    assert set(found) == {
        (shaky.pk, "renewal"),
        (notice.account_id, "renewal"),
        (late.account_id, "promise"),
        (broken.account_id, "promise"),
    }
    day = late.due_on
    assert found[late.account_id, "promise"].reasons[0]["sentence"] == (
        f"Olga Owner promised “Call back” by {day.day} {day:%B}; it is not kept."
    )
    assert "Notice on their contract" in found[notice.account_id, "renewal"].reasons[0]["sentence"]


def test_all_triggers_of_a_night_join_one_episode(cast):
    wanted = [(cast.account.pk, risk(), t) for t in ("at_risk", "renewal", "promise", "at_risk")]

    result = open_handbacks(wanted)
    again = open_handbacks(wanted)

    assert (result.opened, again.opened, again.joined) == (1, 0, 0)
    handback = Handback.objects.get()
    assert handback.trigger == "at_risk"
    assert [r.trigger for r in handback.reasons.all()] == ["at_risk", "renewal", "promise"]


def test_the_budget_is_the_persons_own_and_goes_by_money_that_can_be_saved(cast):
    AlertBudget.objects.create(person=cast.owner, per_day=1)
    judged("renewal", 30, 0)
    for _ in range(30):
        ClosedHandbackFactory(outcome="lost", churn_reason=churn_reason(), trigger="at_risk")
    Handback.objects.filter(outcome="saved").update(trigger="renewal")
    big, likely = (AccountFactory(original_salesperson=cast.owner) for _ in range(2))

    result = open_handbacks([(big.pk, risk(2000), "at_risk"), (likely.pk, risk(1500), "renewal")])

    assert (result.opened, result.over_budget) == (1, 1)
    assert Handback.objects.unfinished().get().account == likely


# ── how it ends ────────────────────────────────────────────────────────
@pytest.fixture
def both_sides():
    return ChurnReason.objects.filter(side="both").first() or ChurnReason.objects.create(
        code="both", name="Sold and served badly", side="both"
    )


def test_a_loss_on_both_sides_is_signed_by_the_other_owner(cast, both_sides):
    handback = open_handback(cast.account, risk())

    closed = close_handback(handback, cast.owner, "lost", churn_reason=both_sides)

    assert closed.counter_signer == cast.teammate
    assert told(cast.teammate, Topic.HANDBACK) == ["Hotel Seeblick: please sign why they left"]
    with pytest.raises(CareError, match="Only the other owner"):
        counter_sign(closed, cast.manager, agrees=True)
    with pytest.raises(CareError, match="Say what you see differently"):
        counter_sign(closed, cast.teammate, agrees=False)
    counter_sign(closed, cast.teammate, agrees=False, note="It was the price")
    counter_sign(closed, cast.teammate, agrees=False, note="It was the price")
    with pytest.raises(HandbackConflict):
        counter_sign(closed, cast.teammate, agrees=True)
    closed.refresh_from_db()
    assert (closed.counter_agrees, closed.counter_note) == (False, "It was the price")
    assert "Hotel Seeblick: Tim Teammate sees it differently" in told(cast.owner, Topic.HANDBACK)
    assert AuditEntry.objects.filter(action="counter_sign_handback").count() == 1


@pytest.mark.parametrize(("closer", "signer"), [("teammate", "owner"), ("manager", "teammate")])
def test_the_signature_is_asked_of_the_other_side(cast, both_sides, closer, signer):
    closed = close_handback(
        open_handback(cast.account, risk()), getattr(cast, closer), "lost", churn_reason=both_sides
    )
    assert closed.counter_signer == getattr(cast, signer)


def test_a_loss_on_one_side_needs_no_second_name(cast):
    reason = ChurnReason.objects.exclude(side="both").first()
    closed = close_handback(open_handback(cast.account, risk()), cast.owner, "lost", churn_reason=reason)
    assert closed.counter_signer is None


def test_credit_names_what_everybody_did(cast):
    handback = open_handback(cast.account, risk())
    accept_handback(handback, cast.owner)
    log_attempt(handback, cast.owner, kind="call", has_reached=True)
    PulseCheckFactory(account=cast.account, taken_by=cast.teammate, taken_at=timezone.now())
    PromiseFactory(
        account=cast.account, made_by=cast.manager, made_on=date_ago(3), kept_on=date_ago(0), status="kept"
    )

    close_handback(handback, cast.owner, "saved", note="They stay")

    parts = {credit.person: credit.part for credit in HandbackCredit.objects.all()}
    assert parts == {
        cast.owner: "took it on, spoke with them",
        cast.teammate: "took their pulse, looks after them",
        cast.manager: "kept a promise",
    }
    note = Notification.objects.get(user=cast.manager, topic=Topic.THANKS)
    assert note.body == "You kept a promise.\nThey stay"


def test_thanks_are_said_once_and_reach_everybody_else(cast, client):
    handback = open_handback(cast.account, risk())
    with pytest.raises(CareError):
        say_thanks(handback, cast.manager, "Too early")
    close_handback(handback, cast.owner, "saved")
    client.force_login(cast.manager)
    address = reverse("pulsecheck:say_thanks", args=[handback.pk])
    assert client.post(address, {"words": ""}).status_code == 422
    for _ in range(2):
        assert client.post(address, {"words": HOSTILE}).status_code == 302
    assert handback.thanks.get().words == HOSTILE
    assert told(cast.owner, Topic.THANKS) == ["Mona Manager thanks you for Hotel Seeblick"]
    page = client.get(reverse("pulsecheck:handback", args=[handback.pk])).content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    client.force_login(cast.owner)
    assert "&lt;script&gt;alert(1)" in client.get("/").content.decode()


# ── pages ──────────────────────────────────────────────────────────────
def test_signing_on_the_page(cast, client, both_sides):
    closed = close_handback(open_handback(cast.account, risk()), cast.owner, "lost", churn_reason=both_sides)
    address = reverse("pulsecheck:counter_sign", args=[closed.pk])
    client.force_login(cast.teammate)
    assert "Do you see it the same way?" in client.get(f"/handbacks/{closed.pk}/").content.decode()
    assert client.post(address, {"agrees": "no"}).status_code == 422
    assert client.post(address, {"agrees": "no", "note": HOSTILE}).status_code == 302
    page = client.get(f"/handbacks/{closed.pk}/").content.decode()
    assert "Sees it differently" in page
    assert "<script>alert(1)" not in page
    assert client.post(address, {"agrees": "yes"}).status_code == 409


def test_the_page_of_the_triggers_says_how_right_they_were(cast, client):
    judged("quiet", 3, 1, closing_note=HOSTILE, account=cast.account)
    TriggerRule.objects.filter(trigger="at_risk").update(
        muted_at=days_ago(1), muted_because="Right in 1 of 20."
    )
    client.force_login(cast.owner)
    page = client.get(reverse("pulsecheck:triggers")).content.decode()
    assert "75\N{NO-BREAK SPACE}%" in page
    assert "Right in 1 of 20." in page
    assert "Let it speak again" not in page
    assert "<script>alert(1)" not in page
    client.force_login(cast.stranger)  # sees the figures, not the accounts
    assert "Hotel Seeblick" not in client.get(reverse("pulsecheck:triggers")).content.decode()
    client.force_login(cast.administrator)
    rule = TriggerRule.objects.get(trigger="at_risk")
    assert client.post(reverse("pulsecheck:unmute", args=[rule.pk])).status_code == 302
    rule.refresh_from_db()
    assert rule.may_speak


def rules_data(**changes):
    data = {"part": "rules"}
    for rule in TriggerRule.objects.all():
        data |= {f"{rule.trigger}-is_on": "on", f"{rule.trigger}-least_precision": "30"}
        data |= {f"{rule.trigger}-least_judged": "20", f"{rule.trigger}-threshold": "3"}
    return data | {"renewal-threshold": "90"} | changes


def test_settings_are_saved_and_say_what_is_wrong(cast, client):
    client.force_login(cast.administrator)
    address = reverse("pulsecheck:handback_settings")
    wrong = client.post(address, rules_data(**{"renewal-threshold": "9999", "quiet-least_judged": "1"}))
    assert wrong.status_code == 422
    assert "less than or equal to 365" in wrong.content.decode()
    data = rules_data(**{"quiet-least_precision": "45"})
    del data["pulse-is_on"]
    assert client.post(address, data).status_code == 302
    rules = selectors.get_rules()
    assert (rules["quiet"].least_precision, rules["renewal"].threshold) == (Decimal("0.45"), 90)
    assert selectors.poorest_pulse() == 0

    times = {"part": "policy", "opens_at": "08:00", "closes_at": "07:00", "answer_hours": 8}
    times |= {"pass_on_hours": 4, "days_waiting": 3}
    assert client.post(address, times).status_code == 422
    assert client.post(address, times | {"closes_at": "18:00"}).status_code == 302
    assert selectors.office_hours().opens_at == dt.time(8)

    field = f"person_{cast.owner.pk}"
    assert client.post(address, {"part": "budgets", field: "-1"}).status_code == 422
    assert client.post(address, {"part": "budgets", field: "2"}).status_code == 302
    assert AlertBudget.objects.get().per_day == 2
    assert client.post(address, {"part": "budgets", field: ""}).status_code == 302
    assert not AlertBudget.objects.exists()
    assert client.post(address, {"part": "nonsense"}).status_code == 200


def test_the_pages_read_a_fixed_number_of_rows(cast, client, django_assert_max_num_queries):
    client.force_login(cast.administrator)
    for address in ("pulsecheck:triggers", "pulsecheck:handback_settings"):
        client.get(reverse(address))
    for seller in SalesRepFactory.create_batch(12):
        HandbackFactory(account__original_salesperson=seller)
    judged("quiet", 4, 8)
    with django_assert_max_num_queries(16):
        client.get(reverse("pulsecheck:triggers"))
    with django_assert_max_num_queries(22):
        client.get(reverse("pulsecheck:handback_settings"))


def test_without_a_score_nothing_is_known_and_everything_works(cast):
    assert open_handback(cast.account, RiskSnapshot(), HandbackTrigger.PROMISE).reasons.get().sentence == ""


def test_of_two_contracts_the_one_that_has_to_be_decided_first_speaks(cast):
    today = company_today()
    ScoreFactory(account=cast.account, tier="watch")
    TriggerRule.objects.filter(trigger="renewal").update(threshold=90, is_on=True, muted_at=None)
    late = today + dt.timedelta(days=150)
    ContractFactory(account=cast.account, ends_on=today + dt.timedelta(days=100), notice_days=0)
    ContractFactory(account=cast.account, ends_on=late, notice_days=90)

    found = [
        risk.reasons[0]["sentence"]
        for _, risk, trigger in selectors.find_triggers(today)
        if trigger == "renewal"
    ]

    last_day = late - dt.timedelta(days=90)
    assert found == [f"Notice on their contract can be given until {last_day.day} {last_day:%B}."]


def test_a_contract_without_notice_only_ends(cast):
    today = company_today()
    ScoreFactory(account=cast.account, tier="watch")
    TriggerRule.objects.filter(trigger="renewal").update(threshold=90, is_on=True, muted_at=None)
    end = today + dt.timedelta(days=30)
    ContractFactory(account=cast.account, ends_on=end, notice_days=0)

    ((_, found, _),) = selectors.find_triggers(today)

    assert found.reasons[0]["sentence"] == f"Their contract ends on {end.day} {end:%B}."


def test_what_is_poor_does_not_change_when_the_trigger_falls_silent():
    TriggerRule.objects.filter(trigger="pulse").update(threshold=3, muted_at=timezone.now())

    assert (selectors.poor_pulse(), selectors.poorest_pulse()) == (3, 0)


def test_a_budget_that_is_taken_away_is_on_record(cast):
    save_budgets({cast.owner.pk: 2}, cast.administrator)
    save_budgets({cast.owner.pk: None}, cast.administrator)

    assert not AlertBudget.objects.exists()
    assert AuditEntry.objects.get(action="remove_alert_budget").detail == {
        "person": cast.owner.pk,
        "per_day": 2,
    }
