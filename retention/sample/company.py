"""Tidewell Provisions, a made-up wholesaler for hotels, restaurants, cafes, public kitchens and offices."""

import datetime as dt
import hashlib
from collections.abc import Iterable
from decimal import Decimal
from random import Random

from retention.sample.book import CUSTOMERS, PROSPECTS, SEGMENTS, YEARS, Customer, make_customers
from retention.sample.buying import cents
from retention.sample.catalogue import make_products
from retention.sample.life import Life
from retention.sample.names import PLACES
from retention.sample.records import AccountRecord, MemberRecord, SampleCompany
from retention.sample.staff import COMPANY, REGIONS, Staff, make_staff
from retention.sample.world import Ledger, make_world

CURRENCY = "EUR"
RATES = {"CHF": Decimal("1.05")}
SEED = 21


def generate(today: dt.date, seed: int = SEED, customers: int = CUSTOMERS) -> SampleCompany:
    """The company as it stands at the end of `today`, after three years of trade; the same for the same arguments."""
    staff, products = make_staff(today), make_products()
    first_day = today - dt.timedelta(days=365 * YEARS)
    world, ledger = make_world(today, first_day, staff, products), Ledger()
    book = make_customers(Random(f"{seed} customers"), staff, first_day, today, customers)
    lives = [Life(Random(f"{seed} {customer.key}"), customer, world, ledger) for customer in book]
    for life in lives:
        life.live()
    rng = Random(f"{seed} book")
    return SampleCompany(
        name=COMPANY,
        currency=CURRENCY,
        rates=RATES,
        teams={region: staff.manager(region).email for region in REGIONS},
        people=list(staff.people),
        products=products,
        accounts=[_account(rng, life) for life in lives] + _prospects(rng, staff, today),
        members=list(_members(rng, book, staff, today)),
        owner_changes=ledger.owner_changes,
        contacts=ledger.contacts,
        orders=sorted(ledger.orders, key=lambda order: (order.ordered_at, order.key)),
        lines=ledger.lines,
        contracts=ledger.contracts,
        interactions=ledger.interactions,
        issues=ledger.issues,
        promises=ledger.promises,
        enquiries=ledger.enquiries,
        pulses=ledger.pulses,
        plans=ledger.plans,
        handbacks=ledger.handbacks,
    )


def fingerprint(company: SampleCompany) -> str:
    """Hash of every record."""
    return hashlib.sha256(repr(company).encode()).hexdigest()


def _account(rng: Random, life: Life) -> AccountRecord:
    customer = life.story.customer
    return AccountRecord(
        key=customer.key,
        name=customer.name,
        segment=customer.segment.name,
        industry=customer.segment.industry,
        region=customer.region,
        country=customer.country,
        currency=customer.currency,
        billing_mode="both" if customer.has_contract else "repeat",
        lifecycle_stage="customer",
        became_customer_on=customer.joined_on,
        source=customer.source,
        campaign=customer.campaign,
        acquisition_cost=cents(rng.lognormvariate(6.2, 0.4)),
        original_salesperson=customer.salesperson,
        # A few fell through the cracks when somebody left.
        account_manager=None if rng.random() < 0.02 else life.story.manager,
    )


def _prospects(rng: Random, staff: Staff, today: dt.date) -> list[AccountRecord]:
    """Companies that are talked to and have not bought yet."""
    found = []
    for number in range(PROSPECTS):
        segment, region = rng.choice(SEGMENTS), REGIONS[number % len(REGIONS)]
        country, currency, places = rng.choice(PLACES[region])
        seller = rng.choice(staff.present("sales_rep", region, today)).email
        name = f"{places[number % len(places)]} {segment.name} Group"
        found.append(
            AccountRecord(
                f"TW-L{number + 1:03d}", name, segment.name, segment.industry, region, country, currency, "repeat",
                "prospect", None, "Web form", "", None, seller, None,
            )
        )  # fmt: skip
    return found


def _members(rng: Random, customers: list[Customer], staff: Staff, today: dt.date) -> Iterable[MemberRecord]:
    """One account in five has a colleague on its retention team."""
    for customer in customers:
        if rng.random() < 0.2:
            role = rng.choice(("sales_rep", "account_manager"))
            pool = [person.email for person in staff.present(role, customer.region, today)]
            others = [email for email in pool if email != customer.salesperson]
            if others:
                kind = "sales" if role == "sales_rep" else "operations"
                yield MemberRecord(customer.key, rng.choice(others), kind)
