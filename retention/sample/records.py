"""What the generator hands over: one named tuple per record, referring to one another by `key`.

Keys of people are their e-mail addresses; all other keys become `external_id` (or sku). Money is Decimal with two
places, dates are calendar days, moments are aware datetimes in UTC.
"""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple


class Person(NamedTuple):
    email: str
    name: str
    role: str
    team: str
    hired_on: dt.date
    left_on: dt.date | None = None
    calls_per_day: int = 8


class ProductRecord(NamedTuple):
    key: str
    name: str
    series: str
    unit_price: Decimal
    unit_cost: Decimal


class AccountRecord(NamedTuple):
    key: str
    name: str
    segment: str
    industry: str
    region: str
    country: str
    currency: str
    billing_mode: str
    lifecycle_stage: str
    became_customer_on: dt.date | None
    source: str
    campaign: str
    acquisition_cost: Decimal | None
    original_salesperson: str | None
    account_manager: str | None


class MemberRecord(NamedTuple):
    account: str
    user: str
    role: str


class OwnerChangeRecord(NamedTuple):
    account: str
    role: str
    from_user: str | None
    to_user: str | None
    changed_at: dt.datetime


class ContactRecord(NamedTuple):
    key: str
    account: str
    name: str
    email: str
    phone: str
    job_title: str
    role: str
    is_active: bool
    left_on: dt.date | None
    marketing_consent: bool
    created_at: dt.datetime  # when we first wrote them down


class OrderRecord(NamedTuple):
    key: str
    account: str
    ordered_at: dt.datetime
    amount: Decimal
    currency: str
    status: str
    promised_on: dt.date | None
    delivered_on: dt.date | None
    cost: Decimal
    discount: Decimal


class LineRecord(NamedTuple):
    order: str
    product: str
    quantity: int
    unit_price: Decimal
    line_number: int


class ContractRecord(NamedTuple):
    key: str
    account: str
    starts_on: dt.date
    ends_on: dt.date
    annual_value: Decimal
    currency: str
    notice_days: int
    auto_renews: bool
    terms_disclosed_on: dt.date | None
    terms_disclosed_by: str | None
    terms_acknowledged_on: dt.date | None
    cancelled_on: dt.date | None
    churn_reason: str | None


class InteractionRecord(NamedTuple):
    key: str
    account: str
    happened_at: dt.datetime
    kind: str
    direction: str
    contact: str | None
    user: str | None
    subject: str
    message_class: str


class IssueRecord(NamedTuple):
    key: str
    account: str
    opened_at: dt.datetime
    severity: str
    theme: str
    description: str
    owner: str | None
    due_on: dt.date
    resolved_at: dt.datetime | None
    validity: str


class PromiseRecord(NamedTuple):
    key: str
    account: str
    text: str
    made_by: str
    made_on: dt.date
    due_on: dt.date
    kept_on: dt.date | None
    status: str


class EnquiryRecord(NamedTuple):
    key: str
    account: str
    contact: str | None
    received_at: dt.datetime
    source: str
    subject: str
    owner: str | None
    next_step: str
    responded_at: dt.datetime | None


class PulseRecord(NamedTuple):
    """A pulse check together with the planned touchpoint it answered."""

    account: str
    due_on: dt.date
    taken_by: str
    taken_at: dt.datetime
    contact: str | None
    score: int
    theme: str | None
    note: str
    next_step: str
    next_step_due_on: dt.date
    next_step_done_at: dt.datetime | None


class PlanRecord(NamedTuple):
    """When somebody is to look in next; some days ago where that was missed."""

    account: str
    assignee: str
    due_on: dt.date


class HandbackRecord(NamedTuple):
    """A finished episode."""

    account: str
    salesperson: str
    trigger: str
    probability: float
    reason: str
    revenue_at_risk: Decimal
    currency: str
    opened_at: dt.datetime
    due_on: dt.date
    accepted_at: dt.datetime
    attempts: tuple[tuple[dt.datetime, str, bool, str], ...]
    closed_at: dt.datetime
    outcome: str
    churn_reason: str | None
    closing_note: str


class SampleCompany(NamedTuple):
    """Everything of the made-up company, in the order in which it can be written."""

    name: str
    currency: str
    rates: dict[str, Decimal]
    teams: dict[str, str]
    people: list[Person]
    products: list[ProductRecord]
    accounts: list[AccountRecord]
    members: list[MemberRecord]
    owner_changes: list[OwnerChangeRecord]
    contacts: list[ContactRecord]
    orders: list[OrderRecord]
    lines: list[LineRecord]
    contracts: list[ContractRecord]
    interactions: list[InteractionRecord]
    issues: list[IssueRecord]
    promises: list[PromiseRecord]
    enquiries: list[EnquiryRecord]
    pulses: list[PulseRecord]
    plans: list[PlanRecord]
    handbacks: list[HandbackRecord]
