"""The customers of the made-up company: who they are, when they came, who won them, how they buy."""

import datetime as dt
from dataclasses import dataclass
from random import Random

from retention.sample.names import PLACES, Namer
from retention.sample.staff import OVERSELLER, REGIONS, Staff, email_of

YEARS = 3
CUSTOMERS = 396
PROSPECTS = 10
OVERSOLD_CAMPAIGN = "Autumn fair, first month free"
CAMPAIGNS = ("Kitchen days", "Chef newsletter", OVERSOLD_CAMPAIGN)


@dataclass(frozen=True)
class Segment:
    """How customers of one kind buy. `gap` days between orders and `basket` EUR are medians of the segment."""

    name: str
    industry: str
    share: float
    gap: float
    basket: float
    season: tuple[float, ...]  # of each month, 1 = usual
    price_sensitivity: float
    contract_share: float
    series: tuple[str, ...]


SEGMENTS = (
    Segment(
        "Restaurants", "Food service", 0.30, 10, 420,
        (0.8, 0.85, 0.95, 1.0, 1.05, 1.05, 1.0, 1.0, 1.0, 1.0, 1.05, 1.25),
        0.8, 0.05, ("Dry goods", "Frozen", "Dairy and eggs", "Hygiene", "Drinks", "Coffee and tea"),
    ),
    Segment(
        "Hotels", "Hospitality", 0.22, 12, 780,
        (0.75, 0.85, 0.9, 1.0, 1.1, 1.2, 1.3, 1.3, 1.1, 0.9, 0.8, 1.1),
        0.5, 0.35, ("Coffee and tea", "Dairy and eggs", "Dry goods", "Hygiene", "Tableware", "Frozen"),
    ),
    Segment(
        "Cafes", "Food service", 0.22, 13, 240,
        (0.9, 0.9, 0.95, 1.0, 1.05, 1.05, 1.0, 1.0, 1.0, 1.05, 1.05, 1.15),
        1.2, 0.0, ("Coffee and tea", "Dairy and eggs", "Tableware", "Frozen", "Drinks"),
    ),
    Segment(
        "Schools and care", "Public catering", 0.14, 14, 560,
        (1.0, 1.0, 1.0, 0.95, 1.0, 0.95, 0.6, 0.6, 1.1, 1.05, 1.0, 0.8),
        1.0, 0.45, ("Dry goods", "Frozen", "Dairy and eggs", "Hygiene"),
    ),
    Segment(
        "Offices", "Corporate", 0.12, 22, 310,
        (1.0, 1.0, 1.0, 1.0, 1.0, 0.95, 0.8, 0.7, 1.0, 1.05, 1.05, 0.9),
        0.9, 0.25, ("Coffee and tea", "Drinks", "Hygiene", "Tableware"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Customer:
    """What is true of an account from its first day on."""

    number: int
    name: str
    segment: Segment
    region: str
    country: str
    currency: str
    joined_on: dt.date
    source: str
    campaign: str
    salesperson: str
    manager: str
    gap: float  # usual days between orders
    basket: float  # usual amount in the account's currency, at prices of the last year
    growth: float  # of the basket, per year
    late_share: float  # of deliveries, over and above the region's
    touch_gap: float  # days between contacts from our side
    has_contract: bool
    is_oversold: bool

    @property
    def key(self) -> str:
        return f"TW-C{self.number:04d}"


def make_customers(
    rng: Random, staff: Staff, first_day: dt.date, today: dt.date, count: int
) -> list[Customer]:
    """Six in ten were customers before `first_day`; the others came since, evenly."""
    namer = Namer(rng)
    return [
        _customer(rng, namer, staff, number, _joined_on(rng, first_day, today))
        for number in range(1, count + 1)
    ]


def _joined_on(rng: Random, first_day: dt.date, today: dt.date) -> dt.date:
    if rng.random() < 0.58:
        return first_day - dt.timedelta(days=rng.randrange(20, 1600))
    return first_day + dt.timedelta(days=rng.randrange(0, (today - first_day).days - 25))


def _customer(rng: Random, namer: Namer, staff: Staff, number: int, joined_on: dt.date) -> Customer:
    segment = rng.choices(SEGMENTS, [segment.share for segment in SEGMENTS])[0]
    region = rng.choice(REGIONS)
    country, currency, places = rng.choice(PLACES[region])
    salesperson = _salesperson(rng, staff, region, joined_on)
    source, campaign = _origin(rng, salesperson)
    is_oversold = campaign == OVERSOLD_CAMPAIGN
    return Customer(
        number=number,
        name=namer.account(segment.name, places),
        segment=segment,
        region=region,
        country=country,
        currency=currency,
        joined_on=joined_on,
        source=source,
        campaign=campaign,
        salesperson=salesperson,
        manager=_first_manager(rng, staff, region, joined_on),
        gap=min(32.0, max(5.0, rng.lognormvariate(0, 0.3) * segment.gap)),
        basket=rng.lognormvariate(0, 0.55) * segment.basket,
        growth=rng.gauss(0.03, 0.06),
        late_share=rng.betavariate(1, 24),
        touch_gap=rng.lognormvariate(3.9, 0.5),
        has_contract=rng.random() < segment.contract_share,
        is_oversold=is_oversold,
    )


def _salesperson(rng: Random, staff: Staff, region: str, joined_on: dt.date) -> str:
    present = staff.present("sales_rep", region, joined_on)
    pool = (
        present
        or [person for person in staff.people if person.role == "sales_rep" and person.team == region][:1]
    )
    return rng.choice(pool).email


def _first_manager(rng: Random, staff: Staff, region: str, joined_on: dt.date) -> str:
    pool = staff.present("account_manager", region, joined_on)
    if not pool:
        pool = [
            person for person in staff.people if person.role == "account_manager" and person.team == region
        ][:1]
    return rng.choice(pool).email


def _origin(rng: Random, salesperson: str) -> tuple[str, str]:
    """Where the customer was won, and by which campaign; the overseller lives from one campaign."""
    if salesperson == email_of(OVERSELLER) and rng.random() < 0.6:
        return "Trade fair", OVERSOLD_CAMPAIGN
    source = rng.choices(("Referral", "Cold call", "Trade fair", "Web form", "Tender"), (30, 25, 20, 15, 10))[
        0
    ]
    campaign = {"Trade fair": "Kitchen days", "Web form": "Chef newsletter"}.get(source, "")
    return source, campaign
