"""What happens to all customers alike: days, prices, trouble at a depot, and the list that everything is written to."""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from retention.sample.records import (
    ContactRecord,
    ContractRecord,
    EnquiryRecord,
    HandbackRecord,
    InteractionRecord,
    IssueRecord,
    LineRecord,
    OrderRecord,
    OwnerChangeRecord,
    PlanRecord,
    ProductRecord,
    PromiseRecord,
    PulseRecord,
)
from retention.sample.staff import CENTRE, NORTH, SOUTH, Staff

WEEK = dt.timedelta(days=7)
PRICE_RISE = 1.045  # each January
RIVAL_DAYS = 150
PRACTICE_DAYS = 420  # since when pulses are taken and accounts handed back
Change = Callable[[], None]


def add_days(day: dt.date, days: float) -> dt.date:
    return day + dt.timedelta(days=round(days))


def working_day(day: dt.date) -> dt.date:
    """`day`, or the Monday after when it falls on a weekend."""
    return day + dt.timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)


def add_working_days(day: dt.date, count: int) -> dt.date:
    for _ in range(count):
        day = working_day(day + dt.timedelta(days=1))
    return working_day(day)


def office_hours(rng: Random, day: dt.date) -> dt.datetime:
    """A moment on `day` when people are at work, UTC."""
    return dt.datetime(day.year, day.month, day.day, rng.randrange(7, 16), rng.randrange(60), tzinfo=dt.UTC)


@dataclass(frozen=True)
class Spell:
    """A stretch of days on which a depot delivers late."""

    region: str
    begin: dt.date
    end: dt.date
    late_share: float

    def covers(self, region: str, day: dt.date) -> bool:
        return region == self.region and self.begin <= day < self.end


@dataclass(frozen=True)
class World:
    """The surroundings on any day between `first_day` and `today`."""

    today: dt.date
    first_day: dt.date
    staff: Staff
    products: dict[str, list[ProductRecord]]  # by series
    spells: tuple[Spell, ...]

    @property
    def practice_from(self) -> dt.date:
        return add_days(self.today, -PRACTICE_DAYS)

    def has_rival(self, region: str, day: dt.date) -> bool:
        """Whether a discounter undercuts us there."""
        return region == CENTRE and (self.today - day).days < RIVAL_DAYS

    def price_level(self, day: dt.date) -> float:
        """Prices on `day` as a share of today's."""
        return float(PRICE_RISE ** (day.year - self.today.year))

    def late_share(self, region: str, day: dt.date) -> float:
        """Share of a region's deliveries that come late on `day`, whatever the customer."""
        return 0.025 + sum(spell.late_share for spell in self.spells if spell.covers(region, day))


def make_world(today: dt.date, first_day: dt.date, staff: Staff, products: list[ProductRecord]) -> World:
    """The South moved its depot last winter; the North has been short of drivers since summer; in the
    Centre a discounter has opened."""
    by_series: dict[str, list[ProductRecord]] = {}
    for product in products:
        by_series.setdefault(product.series, []).append(product)
    spells = (
        Spell(SOUTH, add_days(today, -345), add_days(today, -235), 0.34),
        Spell(NORTH, add_days(today, -110), today, 0.5),
    )
    return World(today, first_day, staff, by_series, spells)


@dataclass
class Ledger:
    """Everything that was recorded, in the order in which customers were lived through."""

    contacts: list[ContactRecord] = field(default_factory=list)
    owner_changes: list[OwnerChangeRecord] = field(default_factory=list)
    orders: list[OrderRecord] = field(default_factory=list)
    lines: list[LineRecord] = field(default_factory=list)
    contracts: list[ContractRecord] = field(default_factory=list)
    interactions: list[InteractionRecord] = field(default_factory=list)
    issues: list[IssueRecord] = field(default_factory=list)
    promises: list[PromiseRecord] = field(default_factory=list)
    enquiries: list[EnquiryRecord] = field(default_factory=list)
    pulses: list[PulseRecord] = field(default_factory=list)
    plans: list[PlanRecord] = field(default_factory=list)
    handbacks: list[HandbackRecord] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)

    def next_key(self, prefix: str) -> str:
        self._counts[prefix] += 1
        return f"TW-{prefix}{self._counts[prefix]:06d}"
