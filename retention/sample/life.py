"""One customer lived through week by week, from the first order to today or to the last order.

Leaving has causes. Late deliveries, complaints that lie open, broken promises, a champion who leaves, a change of
account manager, silence and price rises each put strain on a customer; strain fades by half in about ten weeks,
and the chance to leave in a week grows with e to its sum. A customer that leaves winds down first: longer gaps,
smaller baskets, then nothing.
"""

import datetime as dt
import math
from random import Random

from retention.sample.book import Customer
from retention.sample.buying import Buying
from retention.sample.care import Care
from retention.sample.episodes import Episodes
from retention.sample.records import OwnerChangeRecord
from retention.sample.story import Story
from retention.sample.world import WEEK, Ledger, World, add_days, office_hours, working_day

FADE = 0.935  # of strain, per week
BASE_HAZARD = 0.00024  # chance to start leaving in a week, without strain
STEEPNESS = 3.7
EARLY_DAYS = 200


class Life:
    """The story of one customer; `live()` writes it to the ledger."""

    def __init__(self, rng: Random, customer: Customer, world: World, ledger: Ledger) -> None:
        self.story = Story(rng, customer, world, ledger)
        self.care = Care(self.story)
        self.buying = Buying(self.story, self.care)
        self.episodes = Episodes(self.story, self.care)

    def live(self) -> None:
        self.care.meet()
        week = self.story.begin
        while week <= self.story.world.today:
            self._week(week)
            week += WEEK
        self.story.ledger.contacts.extend(self.story.people)
        self.episodes.contracts()
        self.care.plan()

    def _week(self, week: dt.date) -> None:
        if self.story.left_on is not None:
            self._maybe_return(week)
            return
        self._feel(week)
        self._staff_changes(week)
        self.care.their_people_change(week)
        self.care.complaints(week)
        self.care.contacts_of_ours(week)
        self.care.enquiry(week)
        self.care.pulse(week)
        self.buying.orders(week)
        self._wobble(week)
        self._decide(week)

    def _feel(self, week: dt.date) -> None:
        """Old strain fades, what was coming arrives."""
        for cause in self.story.strain:
            self.story.strain[cause] *= FADE
        end = week + WEEK
        for day, cause, amount in self.story.coming:
            if day < end:
                self.story.strain[cause] = max(0.0, self.story.strain[cause] + amount)
        self.story.coming = [entry for entry in self.story.coming if entry[0] >= end]
        if self.story.world.has_rival(self.story.customer.region, week):
            self.story.strain["price"] += (
                0.06 * self.story.customer.segment.price_sensitivity * self.story.rng.uniform(0, 2)
            )
        if week.month == 1 and week.day <= 7 and week > self.story.customer.joined_on:
            self.story.strain["price"] += (
                0.3 * self.story.customer.segment.price_sensitivity * self.story.rng.uniform(0.3, 1.7)
            )

    def _staff_changes(self, week: dt.date) -> None:
        left_on = self.story.world.staff.person(self.story.manager).left_on
        if left_on is not None and left_on <= week:
            before, self.story.manager = (
                self.story.manager,
                self.story.world.staff.successor(self.story.manager),
            )
            moment = office_hours(self.story.rng, working_day(week))
            self.story.ledger.owner_changes.append(
                OwnerChangeRecord(self.story.customer.key, "operations", before, self.story.manager, moment)
            )
            self.story.strain["owner"] += self.story.rng.uniform(0.3, 1.1)
            if self.story.rng.random() < 0.6:
                self.care.touch(
                    working_day(week), "email", "out", "Introduced myself as the new account manager"
                )

    def _wobble(self, week: dt.date) -> None:
        """A slow stretch for reasons of their own, which passes; a fifth of them alarmed us for nothing."""
        if self.story.leaving_from is None and self.story.rng.random() < 0.004:
            self.story.slow_until = add_days(week, self.story.rng.uniform(25, 60))
            if self.story.rng.random() < 0.2:
                self.story.next_order = working_day(
                    add_days(self.story.next_order, self.story.customer.gap * 1.5)
                )
                self.episodes.handback(add_days(week, 21), "false_alarm")

    def _hazard(self, week: dt.date) -> float:
        early = (week - self.story.customer.joined_on).days < EARLY_DAYS
        factor = (9.0 if self.story.customer.is_oversold else 1.8) if early else 1.0
        return BASE_HAZARD * factor * math.exp(STEEPNESS * self.story.total_strain)

    def _decide(self, week: dt.date) -> None:
        if self.story.leaving_from is not None:
            self._wind_down(week)
        elif (week - self.story.begin).days > 20 and self.story.rng.random() < self._hazard(week):
            self._start_leaving(week)

    def _start_leaving(self, week: dt.date) -> None:
        rng = self.story.rng
        has_cause = rng.random() < self.story.total_strain / (self.story.total_strain + 0.25)
        self.story.cause = (
            rng.choices(list(self.story.strain), list(self.story.strain.values()))[0] if has_cause else None
        )
        self.story.leaving_from = week
        is_sudden = self.story.cause is None and rng.random() < 0.5
        self.story.leaving_weeks = (
            0 if is_sudden else rng.randrange(1, 4 if self.story.customer.is_oversold else 6)
        )
        self.story.handback_after = add_days(week, rng.uniform(18, 45)) if rng.random() < 0.85 else None

    def _wind_down(self, week: dt.date) -> None:
        is_over = self.story.progress(week) >= 1.0
        if self.story.handback_after is not None and (is_over or week >= self.story.handback_after):
            day, self.story.handback_after = max(week, self.story.handback_after), None
            is_saved = self.story.rng.random() < (0.55 if self.story.cause else 0.15)
            if self.episodes.handback(day, "saved" if is_saved else "lost"):
                if is_saved:
                    self._stay(week)
                    return
                # Nobody gives up a customer who still orders: the last order came before it was closed.
                self.story.gone_by = add_days(self.story.handed_back_until, -14)
        if is_over or (self.story.gone_by is not None and week >= self.story.gone_by):
            self.story.left_on, self.story.gone_by = week, None

    def _stay(self, week: dt.date) -> None:
        self.story.leaving_from, self.story.cause = None, None
        self.story.slow_until = add_days(week, 15)
        self.story.strain = {cause: amount * 0.25 for cause, amount in self.story.strain.items()}
        self.story.next_order = min(
            self.story.next_order, working_day(add_days(week, self.story.rng.uniform(8, 18)))
        )

    def _maybe_return(self, week: dt.date) -> None:
        """A few come back after months."""
        assert self.story.left_on is not None
        if 180 < (week - self.story.left_on).days < 420 and self.story.rng.random() < 0.003:
            self.story.next_order = working_day(week)
            self.story.left_on = self.story.leaving_from = self.story.cause = None
            self.story.strain = dict.fromkeys(self.story.strain, 0.0)
