"""Rows for tests: one factory per record, and a cast of people who may and may not see an account.

Every factory fills just enough to satisfy the database; say what the test is about, leave the rest to it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.models import (
    Absence,
    Account,
    AccountMember,
    ChurnReason,
    Connection,
    Contact,
    Contract,
    DuplicatePair,
    Enquiry,
    FieldMap,
    Handoff,
    Interaction,
    Issue,
    OnboardingStep,
    Order,
    OrderLine,
    Product,
    Promise,
    Quarantine,
    RawRecord,
    Role,
    RoleSwap,
    StreamCursor,
    SyncLog,
    SyncRun,
    SyncStep,
    Team,
    User,
)
from notifications.models import Notification, Topic, WebhookSubscription
from pulsecheck.models import (
    Action,
    AuditPick,
    AuditWeek,
    Handback,
    HandbackAttempt,
    Insight,
    PulseCheck,
    Reference,
    RetentionMeeting,
    Survey,
    SurveyAnswer,
    Touchpoint,
)
from pulsecheck.models.handbacks import HandbackOutcome, HandbackState, HandbackTrigger
from pulsecheck.models.surveys import is_bad_answer
from retention.models import Disagreement, FittedModel, Score, ScoreRun, Tier
from retention.models.scores import RunState, Stage

PASSWORD = "a test password 4 all"
CURRENCY = "EUR"


def days_ago(days: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(days=days)


def date_ago(days: int) -> dt.date:
    return timezone.now().date() - dt.timedelta(days=days)


class TeamFactory(DjangoModelFactory[Team]):
    class Meta:
        model = Team

    name = factory.Sequence(lambda n: f"Team {n}")


class UserFactory(DjangoModelFactory[User]):
    """A sales rep unless told otherwise; signs in with PASSWORD."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@ours.example")
    name = factory.Sequence(lambda n: f"Person {n}")
    role = Role.SALES_REP
    team = None

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **kwargs: Any) -> User:
        return model_class.objects.create_user(password=kwargs.pop("password", PASSWORD), **kwargs)


class SalesRepFactory(UserFactory):
    role = Role.SALES_REP


class AccountManagerFactory(UserFactory):
    role = Role.ACCOUNT_MANAGER


class ManagerFactory(UserFactory):
    """Manages no team unless a Team names this person: then sees the whole company."""

    role = Role.MANAGER


class MarketingFactory(UserFactory):
    role = Role.MARKETING


class AdministratorFactory(UserFactory):
    role = Role.ADMINISTRATOR


class SourcedFactory(DjangoModelFactory):
    class Meta:
        abstract = True

    record_source = "file"
    external_id = factory.Sequence(lambda n: f"ID-{n:05d}")


class AccountFactory(SourcedFactory):
    class Meta:
        model = Account

    name = factory.Sequence(lambda n: f"Customer {n}")
    segment = "Hotels"
    currency = CURRENCY
    became_customer_on = factory.LazyFunction(lambda: date_ago(400))


class AccountMemberFactory(DjangoModelFactory[AccountMember]):
    class Meta:
        model = AccountMember

    account = factory.SubFactory(AccountFactory)
    user = factory.SubFactory(UserFactory)


class ContactFactory(SourcedFactory):
    class Meta:
        model = Contact

    account = factory.SubFactory(AccountFactory)
    name = factory.Sequence(lambda n: f"Contact {n}")
    email = factory.Sequence(lambda n: f"contact{n}@customer.example")


class ProductFactory(DjangoModelFactory[Product]):
    class Meta:
        model = Product

    sku = factory.Sequence(lambda n: f"SKU-{n}")
    name = factory.Sequence(lambda n: f"Product {n}")
    series = "Kitchen"
    unit_price = Decimal("10.00")


class OrderFactory(SourcedFactory):
    class Meta:
        model = Order

    account = factory.SubFactory(AccountFactory)
    ordered_at = factory.LazyFunction(lambda: days_ago(20))
    amount = Decimal("250.00")
    currency = CURRENCY
    status = "delivered"


class OrderLineFactory(DjangoModelFactory[OrderLine]):
    class Meta:
        model = OrderLine

    order = factory.SubFactory(OrderFactory)
    product = factory.SubFactory(ProductFactory)
    quantity = Decimal(1)
    unit_price = Decimal("10.00")


class ContractFactory(SourcedFactory):
    class Meta:
        model = Contract

    account = factory.SubFactory(AccountFactory)
    starts_on = factory.LazyFunction(lambda: date_ago(200))
    ends_on = factory.LazyFunction(lambda: date_ago(-165))
    annual_value = Decimal("12000.00")
    currency = CURRENCY


class IssueFactory(SourcedFactory):
    class Meta:
        model = Issue

    account = factory.SubFactory(AccountFactory)
    opened_at = factory.LazyFunction(lambda: days_ago(5))
    theme = "delivery"
    description = "Two crates arrived broken."


class PromiseFactory(SourcedFactory):
    class Meta:
        model = Promise

    account = factory.SubFactory(AccountFactory)
    text = "A replacement by Friday."
    made_by = factory.SubFactory(UserFactory)
    made_on = factory.LazyFunction(lambda: date_ago(10))
    due_on = factory.LazyFunction(lambda: date_ago(3))


class InteractionFactory(SourcedFactory):
    class Meta:
        model = Interaction

    account = factory.SubFactory(AccountFactory)
    happened_at = factory.LazyFunction(lambda: days_ago(9))
    kind = "call"
    subject = "How the season starts"


class EnquiryFactory(SourcedFactory):
    class Meta:
        model = Enquiry

    account = factory.SubFactory(AccountFactory)
    received_at = factory.LazyFunction(lambda: days_ago(1))
    subject = "Do you deliver on Saturdays?"


class RoleSwapFactory(DjangoModelFactory[RoleSwap]):
    """From last week to next week."""

    class Meta:
        model = RoleSwap

    account = factory.SubFactory(AccountFactory)
    begins_on = factory.LazyFunction(lambda: date_ago(7))
    ends_on = factory.LazyFunction(lambda: date_ago(-7))
    reason = "So that they know both of us."
    started_by = factory.SubFactory(UserFactory)


class HandoffFactory(DjangoModelFactory[Handoff]):
    """Not read yet."""

    class Meta:
        model = Handoff

    account = factory.SubFactory(AccountFactory)
    won_on = factory.LazyFunction(lambda: date_ago(5))
    handed_by = factory.SubFactory(UserFactory)
    handed_to = factory.SubFactory(AccountManagerFactory)
    bought = "Coffee for two kitchens."
    why_us = "Deliveries before nine."
    expects = "A fixed person to ring."


class OnboardingStepFactory(DjangoModelFactory[OnboardingStep]):
    class Meta:
        model = OnboardingStep

    handoff = factory.SubFactory(HandoffFactory)
    title = "Send a welcome"
    owner = factory.SelfAttribute("handoff.handed_to")
    due_on = factory.LazyFunction(lambda: date_ago(1))


class FittedModelFactory(DjangoModelFactory[FittedModel]):
    """Of the buying rhythm; its payload is nothing that could be applied."""

    class Meta:
        model = FittedModel

    version = factory.Sequence(lambda n: f"rhythm-{n:012d}")
    as_of = factory.LazyFunction(lambda: date_ago(1))
    horizon_days = 90
    stage = Stage.RHYTHM
    payload = b""


class ScoreRunFactory(DjangoModelFactory[ScoreRun]):
    """Published, as of yesterday."""

    class Meta:
        model = ScoreRun
        django_get_or_create = ("as_of",)

    as_of = factory.LazyFunction(lambda: date_ago(1))
    horizon_days = 90
    state = RunState.PUBLISHED
    published_at = factory.LazyFunction(timezone.now)


def reason(
    sentence: str = "Last order 74 days ago; usually every 21.", points: float = 31.0
) -> dict[str, Any]:
    return {"factor": "rhythm", "sentence": sentence, "points": points}


class ScoreFactory(DjangoModelFactory[Score]):
    """At risk with 62 % unless told otherwise."""

    class Meta:
        model = Score

    account = factory.SubFactory(AccountFactory)
    run = factory.SubFactory(ScoreRunFactory)
    as_of = factory.SelfAttribute("run.as_of")
    horizon_days = factory.SelfAttribute("run.horizon_days")
    churn_probability = 0.62
    base_probability = 0.31
    tier = Tier.AT_RISK
    stage = Stage.RHYTHM
    model_version = "test"
    revenue_at_risk = Decimal("6200.00")
    currency = CURRENCY
    revenue_at_risk_company = factory.SelfAttribute("revenue_at_risk")
    expected_value_12m = Decimal("10000.00")
    days_since_last_order = 74
    usual_gap_days = 21.0
    main_factor = "rhythm"
    reasons = factory.LazyFunction(lambda: [reason()])


class DisagreementFactory(DjangoModelFactory[Disagreement]):
    """The model fears what the scorecard does not; of yesterday."""

    class Meta:
        model = Disagreement

    account = factory.SubFactory(AccountFactory)
    as_of = factory.LazyFunction(lambda: date_ago(1))
    horizon_days = 90
    churn_probability = 0.62
    health_score = 81
    model_stance = "leaving"
    scorecard_stance = "staying"
    model_says = "Last order 74 days ago; usually every 21."
    scorecard_says = "Pulse 6 of 6, 10 days ago."
    value = Decimal("10000.00")


class HandbackFactory(DjangoModelFactory[Handback]):
    """Open, with the account's original salesperson."""

    class Meta:
        model = Handback

    account = factory.SubFactory(AccountFactory)
    salesperson = factory.SelfAttribute("account.original_salesperson")
    assigned_because = "Won this account"
    trigger = HandbackTrigger.AT_RISK
    risk = factory.LazyFunction(lambda: {"churn_probability": 0.62, "reasons": [reason()]})
    revenue_at_risk = Decimal("6200.00")
    currency = CURRENCY
    opened_at = factory.LazyFunction(lambda: days_ago(1))
    due_on = factory.LazyFunction(lambda: date_ago(-2))


class ClosedHandbackFactory(HandbackFactory):
    """Accepted and saved."""

    state = HandbackState.CLOSED
    opened_at = factory.LazyFunction(lambda: days_ago(60))
    accepted_at = factory.LazyFunction(lambda: days_ago(58))
    closed_at = factory.LazyFunction(lambda: days_ago(30))
    outcome = HandbackOutcome.SAVED


class HandbackAttemptFactory(DjangoModelFactory[HandbackAttempt]):
    class Meta:
        model = HandbackAttempt

    handback = factory.SubFactory(HandbackFactory)
    user = factory.SelfAttribute("handback.salesperson")
    happened_at = factory.LazyFunction(lambda: days_ago(0.5))
    kind = "call"


class AbsenceFactory(DjangoModelFactory[Absence]):
    class Meta:
        model = Absence

    person = factory.SubFactory(AccountManagerFactory)
    starts_on = factory.LazyFunction(lambda: date_ago(-5))
    ends_on = factory.LazyFunction(lambda: date_ago(-15))


class TouchpointFactory(DjangoModelFactory[Touchpoint]):
    class Meta:
        model = Touchpoint

    account = factory.SubFactory(AccountFactory)
    assignee = factory.SelfAttribute("account.account_manager")
    due_on = factory.LazyFunction(lambda: date_ago(-3))
    reason = "At risk: every 14 days."


class PulseCheckFactory(DjangoModelFactory[PulseCheck]):
    class Meta:
        model = PulseCheck

    account = factory.SubFactory(AccountFactory)
    taken_by = factory.SubFactory(AccountManagerFactory)
    taken_at = factory.LazyFunction(lambda: days_ago(30))
    score = 4
    next_step = "Send the new price list."
    next_step_owner = factory.SelfAttribute("taken_by")
    next_step_due_on = factory.LazyFunction(lambda: date_ago(-7))


class MeetingFactory(DjangoModelFactory[RetentionMeeting]):
    """Planned for today, about a month of one account."""

    class Meta:
        model = RetentionMeeting

    account = factory.SubFactory(AccountFactory)
    chair = factory.SubFactory(SalesRepFactory)
    held_on = factory.LazyFunction(lambda: date_ago(0))
    covers_from = factory.LazyFunction(lambda: date_ago(31))


class ActionFactory(DjangoModelFactory[Action]):
    class Meta:
        model = Action

    text = "Visit them"
    owner = factory.SubFactory(SalesRepFactory)
    due_on = factory.LazyFunction(lambda: date_ago(-3))


class InsightFactory(DjangoModelFactory[Insight]):
    """Valid from a week ago for three weeks, for every industry unless told otherwise."""

    class Meta:
        model = Insight

    title = factory.Sequence(lambda n: f"Oat milk gets cheaper, report {n}")
    text = "Prices fall by a tenth from January."
    valid_from = factory.LazyFunction(lambda: date_ago(7))
    valid_until = factory.LazyFunction(lambda: date_ago(-14))


class SurveyFactory(DjangoModelFactory[Survey]):
    """Sent yesterday to somebody there, who was asked whether they would recommend us; waits for its answer."""

    class Meta:
        model = Survey

    account = factory.SubFactory(AccountFactory)
    contact = factory.SubFactory(ContactFactory, account=factory.SelfAttribute("..account"))
    sent_by = factory.SubFactory(AccountManagerFactory)
    sent_at = factory.LazyFunction(lambda: days_ago(1))
    expires_at = factory.LazyFunction(lambda: days_ago(-29))
    key = factory.Sequence(lambda n: f"key-{n:08d}")


class SurveyAnswerFactory(DjangoModelFactory[SurveyAnswer]):
    """A bad one of this morning, with its loop open."""

    class Meta:
        model = SurveyAnswer

    survey = factory.SubFactory(SurveyFactory)
    account = factory.SelfAttribute("survey.account")
    answered_at = factory.LazyFunction(lambda: days_ago(0.1))
    nps = 3
    comment = "Two deliveries came late."
    is_bad = factory.LazyAttribute(lambda answer: is_bad_answer(answer.nps, None, None))


class AuditWeekFactory(DjangoModelFactory[AuditWeek]):
    """This week's draw of one among forty."""

    class Meta:
        model = AuditWeek
        django_get_or_create = ("week_of",)

    week_of = factory.LazyFunction(lambda: date_ago(timezone.now().weekday()))
    as_of = factory.LazyFunction(lambda: date_ago(1))
    healthy = 40
    drawn = 1
    seed = "a seed"


class AuditPickFactory(DjangoModelFactory[AuditPick]):
    """Drawn this week, not asked yet."""

    class Meta:
        model = AuditPick

    week = factory.SubFactory(AuditWeekFactory)
    account = factory.SubFactory(AccountFactory)
    assignee = factory.SelfAttribute("account.account_manager")
    due_on = factory.LazyAttribute(lambda pick: pick.week.week_of + dt.timedelta(days=11))
    closes_on = factory.LazyAttribute(lambda pick: pick.week.week_of + dt.timedelta(days=27))
    tier = "steady"
    churn_probability = 0.08


class ReferenceFactory(DjangoModelFactory[Reference]):
    """Agreed to be named for another year."""

    class Meta:
        model = Reference

    account = factory.SubFactory(AccountFactory)
    agreed_by = "Petra Wirt"
    agreed_on = factory.LazyFunction(lambda: date_ago(10))
    until = factory.LazyFunction(lambda: date_ago(-355))
    shows_name = True
    noted_by = factory.SubFactory(AccountManagerFactory)


class NotificationFactory(DjangoModelFactory[Notification]):
    class Meta:
        model = Notification

    user = factory.SubFactory(UserFactory)
    topic = Topic.HANDBACK
    title = "An account is handed back to you"


def churn_reason(code: str = "out-of-touch") -> ChurnReason:
    """One of the reasons that Mainstay ships."""
    return ChurnReason.objects.get(code=code)


@dataclass(frozen=True)
class Cast:
    """Who is who around one account.

    `owner` won it, `teammate` looks after it (account manager of the same team), `manager` manages their team.
    `stranger` (a rep) and `other_manager` belong to another team and must not learn that the account exists.
    `marketing` and `administrator` see every account, `disabled` owned nothing and may not even sign in.
    """

    account: Account
    team: Team
    owner: User
    teammate: User
    manager: User
    other_team: Team
    stranger: User
    other_manager: User
    marketing: User
    administrator: User
    disabled: User

    def everyone(self) -> dict[str, User]:
        names = [
            "owner",
            "teammate",
            "manager",
            "stranger",
            "other_manager",
            "marketing",
            "administrator",
            "disabled",
        ]
        return {name: getattr(self, name) for name in names}


def make_cast() -> Cast:
    """Two teams, one of every role, one account of the first team."""
    manager, other_manager = ManagerFactory(name="Mona Manager"), ManagerFactory(name="Otto Other")
    team = TeamFactory(name="North", manager=manager)
    other_team = TeamFactory(name="South", manager=other_manager)
    owner = SalesRepFactory(name="Olga Owner", team=team)
    teammate = AccountManagerFactory(name="Tim Teammate", team=team)
    return Cast(
        account=AccountFactory(name="Hotel Seeblick", original_salesperson=owner, account_manager=teammate),
        team=team,
        owner=owner,
        teammate=teammate,
        manager=manager,
        other_team=other_team,
        stranger=SalesRepFactory(name="Sam Stranger", team=other_team),
        other_manager=other_manager,
        marketing=MarketingFactory(name="Mara Marketing"),
        administrator=AdministratorFactory(name="Ada Administrator"),
        disabled=SalesRepFactory(name="Dora Disabled", team=other_team, is_active=False),
    )


# ── connected systems ──────────────────────────────────────────────────
def make_connection(account: Account) -> dict[str, Any]:
    """A connection (to a place that is not there) with a run that failed, a refused record, and one in doubt."""
    from django.utils import timezone

    now = timezone.now()
    connection = Connection.objects.create(
        name="Our CRM", system="hubspot", record_source="hubspot-crm", options={"address": "http://127.0.0.1:9"},
        message="The system does not accept the credentials any more.",
    )  # fmt: skip
    StreamCursor.objects.create(connection=connection, stream="companies")
    FieldMap.objects.create(
        connection=connection, stream="companies", kind="accounts", columns={"name": "properties.name"}
    )
    dry = SyncRun.objects.create(
        connection=connection, is_dry_run=True, state="done", finished_at=now,
        found={"streams": [], "refused": [], "doubtful": [], "linked": 0},
    )  # fmt: skip
    run = SyncRun.objects.create(connection=connection, state="failed", message="It broke.", finished_at=now)
    SyncStep.objects.create(
        run=run, number=0, action="pull", stream="companies", state="failed", message="It broke."
    )
    SyncLog.objects.create(run=run, text="Read changes companies: 3 read")
    payload = {"properties": {"name": account.name, "country": "DE"}}
    raw = RawRecord.objects.create(
        connection=connection,
        stream="companies",
        source_id="77",
        hash="0" * 64,
        payload=payload,
        changed_at=now,
    )
    RawRecord.objects.create(
        connection=connection,
        stream="companies",
        source_id="78",
        hash="1" * 64,
        payload={},
        problem="name is missing",
    )
    doubtful = Quarantine.objects.create(
        raw=raw, candidates=[account.pk], reason="2 accounts could be this one."
    )
    FieldMap.objects.create(
        connection=connection, stream="contacts", kind="contacts", columns={"name": "name", "email": "email"}
    )
    person = RawRecord.objects.create(
        connection=connection, stream="contacts", source_id="79", hash="2" * 64, payload={"name": "Jo Doe"}
    )
    people = [ContactFactory(account=account, is_sample=account.is_sample).pk for _ in range(2)]
    person = Quarantine.objects.create(
        raw=person, kind="contacts", candidates=people, reason="2 contacts could be this one."
    )
    return {
        "connection": connection,
        "sync_run": run,
        "doubtful": doubtful,
        "doubtful_contact": person,
        "dry_run": dry,
    }


def make_webhook() -> WebhookSubscription:
    """A program that is told of pulse checks."""
    from accounts.crm.vault import seal

    return WebhookSubscription.objects.create(
        name="Warehouse",
        url="https://example.com/",
        events=["pulse.logged"],
        sealed_credentials=seal({"secret": "whsec_of-the-warehouse"}),
        hint="ouse",
    )


def make_merge(account: Account) -> dict[str, Any]:
    """A pair that may be one customer, and an account that was taken into `account`."""
    from accounts.services.merging import merge_accounts

    shared = {"is_sample": account.is_sample}
    gone = AccountFactory(name="Formerly", **shared)
    alike = AccountFactory(name=account.name, **shared)
    merge = merge_accounts(account.pk, gone.pk, AdministratorFactory())
    first, second = sorted((account.pk, alike.pk))
    pair = DuplicatePair.objects.create(
        first_id=first, second_id=second, evidence=[["name", account.name.lower()]], weight=0.6
    )
    return {"duplicate": pair, "merge": merge}
