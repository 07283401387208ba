"""What is true of one customer at a moment of its story; the parts of its life read and change it."""

import datetime as dt
from random import Random

from retention.sample import texts
from retention.sample.book import Customer
from retention.sample.records import ContactRecord
from retention.sample.world import Ledger, World, add_days, working_day

MOST_STRAIN = 2.1


class Story:
    """Where a customer stands: who looks after it, what strains it, whether it is leaving."""

    def __init__(self, rng: Random, customer: Customer, world: World, ledger: Ledger) -> None:
        self.rng, self.customer, self.world, self.ledger = rng, customer, world, ledger
        self.manager = customer.manager
        self.strain: dict[str, float] = dict.fromkeys(texts.CAUSES, 0.0)
        self.coming: list[tuple[dt.date, str, float]] = []  # strain that is felt later
        self.begin = max(customer.joined_on, world.first_day)
        self.next_order = working_day(add_days(self.begin, rng.uniform(0, customer.gap)))
        self.last_touch = self.begin
        self.next_pulse = add_days(max(self.begin, world.practice_from), rng.uniform(10, 90))
        self.people: list[ContactRecord] = []
        self.assortment = self._assortment()
        self.leaving_from: dt.date | None = None
        self.leaving_weeks = 0
        self.cause: str | None = None
        self.left_on: dt.date | None = None
        self.gone_by: dt.date | None = None
        self.slow_until = self.begin
        self.handback_after: dt.date | None = None
        self.handed_back_until = self.begin

    def _assortment(self) -> list[str]:
        """The series this customer buys from, most wanted first."""
        series = self.customer.segment.series
        count = self.rng.randrange(2, len(series) + 1)
        return list(series[:2]) + self.rng.sample(series[2:], max(0, count - 2))

    @property
    def total_strain(self) -> float:
        return min(MOST_STRAIN, sum(self.strain.values()))

    def progress(self, day: dt.date) -> float:
        """How far the customer has wound down: 0 not at all, 1 gone."""
        if self.leaving_from is None:
            return 0.0
        return min(1.0, (day - self.leaving_from).days / max(7, 7 * self.leaving_weeks))

    def in_charge(self, day: dt.date) -> str:
        """Who looks after the customer on a day of this week or the next."""
        left_on = self.world.staff.person(self.manager).left_on
        return self.manager if left_on is None or day < left_on else self.world.staff.successor(self.manager)

    def seller(self, day: dt.date) -> str | None:
        left_on = self.world.staff.person(self.customer.salesperson).left_on
        return self.customer.salesperson if left_on is None or day < left_on else None

    def somebody(self) -> str | None:
        present = [person.key for person in self.people if person.is_active]
        return self.rng.choice(present) if present else None
