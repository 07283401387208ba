"""One customer lived through week by week, from the first order to today or to the last order.

Leaving has causes. Late deliveries, complaints that lie open, broken promises, a champion who leaves, a change of
account manager, silence and price rises each put strain on a customer; strain fades by half in about ten weeks,
and the chance to leave in a week grows with e to its sum. A customer that leaves winds down first: longer gaps,
smaller baskets, then nothing.
"""

import datetime as dt
import math
from decimal import Decimal
from random import Random

from retention.sample import texts
from retention.sample.book import Customer
from retention.sample.names import TITLES, address, person_name
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
    PromiseRecord,
    PulseRecord,
)
from retention.sample.staff import SLOW, email_of
from retention.sample.world import Ledger, World, add_days, add_working_days, office_hours, working_day

FADE = 0.935  # of strain, per week
BASE_HAZARD = 0.00024  # chance to start leaving in a week, without strain
STEEPNESS = 3.7
MOST_STRAIN = 2.1
EARLY_DAYS = 200
CENT = Decimal("0.01")
WEEK = dt.timedelta(days=7)


def cents(amount: float) -> Decimal:
    return Decimal(round(amount * 100)) * CENT


class Life:
    """The story of one customer; `live()` writes it to the ledger."""

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

    def live(self) -> None:
        self._meet()
        week = self.begin
        while week <= self.world.today:
            self._week(week)
            week += WEEK
        self.ledger.contacts.extend(self.people)
        self._contracts()
        self._plan()

    # ---- a week ----------------------------------------------------------------------------------------

    def _week(self, week: dt.date) -> None:
        if self.left_on is not None:
            self._maybe_return(week)
            return
        self._feel(week)
        self._staff_changes(week)
        self._their_people_change(week)
        self._complaints(week)
        self._contacts_of_ours(week)
        self._enquiry(week)
        self._pulse(week)
        self._orders(week)
        self._wobble(week)
        self._decide(week)

    def _feel(self, week: dt.date) -> None:
        """Old strain fades, what was coming arrives."""
        for cause in self.strain:
            self.strain[cause] *= FADE
        end = week + WEEK
        for day, cause, amount in self.coming:
            if day < end:
                self.strain[cause] = max(0.0, self.strain[cause] + amount)
        self.coming = [entry for entry in self.coming if entry[0] >= end]
        if self.world.has_rival(self.customer.region, week):
            self.strain["price"] += 0.06 * self.customer.segment.price_sensitivity * self.rng.uniform(0, 2)
        if week.month == 1 and week.day <= 7 and week > self.customer.joined_on:
            self.strain["price"] += 0.3 * self.customer.segment.price_sensitivity * self.rng.uniform(0.3, 1.7)

    @property
    def total_strain(self) -> float:
        return min(MOST_STRAIN, sum(self.strain.values()))

    def _in_charge(self, day: dt.date) -> str:
        """Who looks after the customer on a day of this week or the next."""
        left_on = self.world.staff.person(self.manager).left_on
        return self.manager if left_on is None or day < left_on else self.world.staff.successor(self.manager)

    def _staff_changes(self, week: dt.date) -> None:
        left_on = self.world.staff.person(self.manager).left_on
        if left_on is not None and left_on <= week:
            before, self.manager = self.manager, self.world.staff.successor(self.manager)
            moment = office_hours(self.rng, working_day(week))
            self.ledger.owner_changes.append(
                OwnerChangeRecord(self.customer.key, "operations", before, self.manager, moment)
            )
            self.strain["owner"] += self.rng.uniform(0.3, 1.1)
            if self.rng.random() < 0.6:
                self._touch(working_day(week), "email", "out", "Introduced myself as the new account manager")

    # ---- people there ----------------------------------------------------------------------------------

    def _meet(self) -> None:
        self._add_person("decision_maker", 0.95, self.begin)
        self._add_person("champion", 0.85, self.begin)
        self._add_person("billing", 0.45, self.begin)
        self._add_person("user", 0.35, self.begin)
        if self.customer.is_oversold:
            for _ in range(self.rng.randrange(1, 3)):
                self._promise("sales", self.begin, self.customer.salesperson, breaks=0.5)

    def _add_person(self, role: str, chance: float, day: dt.date) -> None:
        rng = self.rng
        if rng.random() > chance:
            return
        name = person_name(rng)
        key = self.ledger.next_key("P")
        phone = f"+00 555 {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}"
        self.people.append(
            ContactRecord(
                key, self.customer.key, name, address(name, self.customer.name), phone,
                rng.choice(TITLES[role]), role, True, None, rng.random() < 0.55,
                office_hours(rng, day),
            )
        )  # fmt: skip

    def _their_people_change(self, week: dt.date) -> None:
        rng = self.rng
        for position, person in enumerate(self.people):
            if not person.is_active or rng.random() > 0.0032:
                continue
            day = add_days(week, rng.randrange(7))
            if day > self.world.today:
                continue
            self.people[position] = person._replace(is_active=False, left_on=day)
            if person.role in {"champion", "decision_maker"}:
                self.strain["champion"] += rng.uniform(0.9, 1.9)
                self._add_person(person.role, 0.65, day)
            return

    def _somebody(self) -> str | None:
        present = [person.key for person in self.people if person.is_active]
        return self.rng.choice(present) if present else None

    # ---- what they buy ---------------------------------------------------------------------------------

    def _assortment(self) -> list[str]:
        """The series this customer buys from, most wanted first."""
        series = self.customer.segment.series
        count = self.rng.randrange(2, len(series) + 1)
        return list(series[:2]) + self.rng.sample(series[2:], max(0, count - 2))

    def _progress(self, day: dt.date) -> float:
        """How far the customer has wound down: 0 not at all, 1 gone."""
        if self.leaving_from is None:
            return 0.0
        return min(1.0, (day - self.leaving_from).days / max(7, 7 * self.leaving_weeks))

    def _orders(self, week: dt.date) -> None:
        end = min(week + WEEK, self.world.today + dt.timedelta(days=1))
        while self.next_order < end and self.left_on is None:
            self._order(self.next_order)
            self.next_order = self._following(self.next_order)

    def _following(self, day: dt.date) -> dt.date:
        season = self.customer.segment.season[day.month - 1]
        slow = 1.0
        if self.leaving_from is not None:
            slow = 1.25 + 2.0 * self._progress(day)
        elif day < self.slow_until:
            slow = 1.6
        mean = self.customer.gap * slow / math.sqrt(season)
        return working_day(add_days(day, max(1.0, self.rng.gammavariate(7, mean / 7))))

    def _basket(self, day: dt.date) -> float:
        season = self.customer.segment.season[day.month - 1]
        years = (day - self.world.today).days / 365
        shrunk = 1 - 0.5 * self._progress(day)
        noise = self.rng.lognormvariate(0, 0.25)
        level = self.world.price_level(day) * (1 + self.customer.growth) ** years
        return self.customer.basket * level * math.sqrt(season) * shrunk * noise

    def _order(self, day: dt.date) -> None:
        key = self.ledger.next_key("O")
        off = 0.05 if self.customer.has_contract else 0.0
        amount, listed, cost = self._lines(key, day, off)
        promised, delivered = self._delivery(day)
        status = "delivered" if delivered else "placed"
        if self.rng.random() < 0.008:
            status, delivered = "cancelled", None
        moment = office_hours(self.rng, day)
        self.ledger.orders.append(
            OrderRecord(
                key, self.customer.key, moment, amount, self.customer.currency, status, promised, delivered,
                cost, listed - amount,
            )
        )  # fmt: skip
        if status == "delivered" and delivered is not None and self.rng.random() < 0.014:
            self._return(add_days(delivered, 2), amount, cost)

    def _lines(self, order: str, day: dt.date, off: float) -> tuple[Decimal, Decimal, Decimal]:
        """Amount, amount at list prices and cost of an order of about the usual basket."""
        rng, level = self.rng, self.world.price_level(day)
        wanted = self._basket(day)
        chosen = rng.sample(self.assortment, min(len(self.assortment), rng.choice((1, 2, 2, 3))))
        amount, listed, cost = Decimal(0), Decimal(0), Decimal(0)
        for number, series in enumerate(chosen, 1):
            product = rng.choice(self.world.products[series])
            full = cents(float(product.unit_price) * level)
            price = cents(float(full) * (1 - off))
            quantity = max(1, round(wanted / len(chosen) / float(price)))
            self.ledger.lines.append(LineRecord(order, product.key, quantity, price, number))
            amount += quantity * price
            listed += quantity * full
            cost += quantity * cents(float(product.unit_cost) * level)
        return amount, listed, cost

    def _delivery(self, day: dt.date) -> tuple[dt.date, dt.date | None]:
        """Promised and delivered day; a late one puts strain on the customer and may become a complaint."""
        rng = self.rng
        promised = add_working_days(day, rng.choice((1, 2, 2, 3)))
        share = self.customer.late_share + self.world.late_share(self.customer.region, promised)
        delivered, late = promised, 0
        if rng.random() < share:
            late = 1 + min(9, int(rng.expovariate(0.45)))
            delivered = add_working_days(promised, late)
            self.coming.append((promised, "delivery", 0.13 + 0.08 * late))
        if delivered > self.world.today:
            return promised, None
        if late >= 2 and rng.random() < 0.2:
            self._issue(delivered, "delivery", days=late)
        return promised, delivered

    def _return(self, day: dt.date, amount: Decimal, cost: Decimal) -> None:
        if day > self.world.today:
            return
        share = Decimal(self.rng.choice((10, 20, 30))) / 100
        self.ledger.orders.append(
            OrderRecord(
                self.ledger.next_key("O"), self.customer.key, office_hours(self.rng, day),
                -(amount * share).quantize(CENT), self.customer.currency, "returned", None, None,
                -(cost * share).quantize(CENT), Decimal(0),
            )
        )  # fmt: skip

    # ---- complaints, promises, contacts ----------------------------------------------------------------

    def _complaints(self, week: dt.date) -> None:
        if self.rng.random() < 0.01:
            theme = self.rng.choice(("quality", "quality", "invoicing", "range", "service"))
            self._issue(working_day(add_days(week, self.rng.randrange(5))), theme)

    def _issue(self, day: dt.date, theme: str, days: int = 0) -> None:
        """A complaint strains for as long as it lies open; one that is settled within a week nearly makes up for it."""
        rng, today = self.rng, self.world.today
        if day > today:
            return
        opened_at = office_hours(rng, day)
        is_slow = self.manager in {email_of(name) for name in SLOW}
        taken = rng.lognormvariate(3.3 if is_slow else 2.1, 0.8)
        resolved_at = office_hours(rng, working_day(add_days(day, max(1, taken))))
        self.coming.append((day, "issue", 0.25))
        for waited in range(10, min(int(taken), 120), 10):
            self.coming.append((add_days(day, waited), "issue", 0.22))
        if taken < 8:
            self.coming.append((resolved_at.date(), "issue", -0.15))
        self.ledger.issues.append(
            IssueRecord(
                self.ledger.next_key("I"), self.customer.key, opened_at,
                rng.choices(("low", "medium", "high"), (3, 5, 2))[0], theme,
                rng.choice(texts.ISSUES[theme]).format(days=days), self.manager, add_working_days(day, 5),
                resolved_at if resolved_at.date() <= today else None,
                rng.choices(("valid", "partly", "invalid", "unknown"), (6, 2, 1, 1))[0],
            )
        )  # fmt: skip
        self._touch(day, "ticket", "in", f"Complaint about {theme}")
        if rng.random() < 0.5:
            self._promise(theme, day, self.manager, breaks=0.13)

    def _promise(self, theme: str, day: dt.date, made_by: str, breaks: float) -> None:
        rng, today = self.rng, self.world.today
        due_on = add_working_days(day, rng.randrange(3, 15))
        fate = rng.choices(("kept", "late", "broken"), (0.9 - breaks, 0.1, breaks))[0]
        kept_on = {"kept": due_on, "late": add_working_days(due_on, rng.randrange(2, 9)), "broken": None}[
            fate
        ]
        strain = {"kept": -0.1, "late": 0.3, "broken": 1.0}[fate]
        self.coming.append((due_on, "promise", strain))
        if due_on >= today or (kept_on and kept_on > today):
            fate, kept_on = "open", None
        self.ledger.promises.append(
            PromiseRecord(
                self.ledger.next_key("V"), self.customer.key, rng.choice(texts.PROMISES[theme]), made_by, day,
                due_on, kept_on, fate,
            )
        )  # fmt: skip

    def _contacts_of_ours(self, week: dt.date) -> None:
        rng = self.rng
        silent = (week - self.last_touch).days
        if silent > 80:
            self.strain["silence"] += 0.05
        if rng.random() < 7 / self.customer.touch_gap:
            is_sales = rng.random() < 0.15
            kind, subject = rng.choice(texts.SALES_TOUCHES if is_sales else texts.TOUCHES)
            day = working_day(add_days(week, rng.randrange(5)))
            self._touch(day, kind, "out", subject, self._seller(day) if is_sales else None)
            if rng.random() < 0.04:
                self._promise("sales", day, self.manager, breaks=0.1)

    def _seller(self, day: dt.date) -> str | None:
        left_on = self.world.staff.person(self.customer.salesperson).left_on
        return self.customer.salesperson if left_on is None or day < left_on else None

    def _touch(self, day: dt.date, kind: str, direction: str, subject: str, user: str | None = None) -> None:
        if day > self.world.today:
            return
        if direction == "out":
            self.last_touch = max(self.last_touch, day)
            self.strain["silence"] *= 0.3
        self.ledger.interactions.append(
            InteractionRecord(
                self.ledger.next_key("T"), self.customer.key, office_hours(self.rng, day), kind, direction,
                self._somebody(), user or self._in_charge(day), subject,
            )
        )  # fmt: skip

    def _enquiry(self, week: dt.date) -> None:
        rng, today = self.rng, self.world.today
        day = working_day(add_days(week, rng.randrange(5)))
        if rng.random() > 0.012 or day > today:
            return
        received_at = office_hours(rng, day)
        hours = rng.lognormvariate(2.2, 1.1) if rng.random() < 0.9 else rng.uniform(60, 260)
        answer_at = received_at + dt.timedelta(minutes=round(hours * 60))
        responded_at = answer_at if answer_at.date() <= today else None
        self.ledger.enquiries.append(
            EnquiryRecord(
                self.ledger.next_key("Q"), self.customer.key, self._somebody(), received_at,
                rng.choice(texts.ENQUIRY_SOURCES), rng.choice(texts.ENQUIRIES), self.manager,
                "" if responded_at else "Answer by telephone", responded_at,
            )
        )  # fmt: skip

    def _pulse(self, week: dt.date) -> None:
        rng = self.rng
        if week < self.next_pulse:
            return
        due_on = working_day(self.next_pulse)
        taken_on = working_day(add_days(due_on, rng.choice((-2, 0, 0, 0, 1, 3, 8))))
        self.next_pulse = add_days(due_on, rng.uniform(40, 120))
        if taken_on > self.world.today or rng.random() < 0.12:
            return
        cause = max(self.strain, key=self.strain.__getitem__) if self.total_strain > 0.45 else None
        theme = texts.THEME_OF_CAUSE[cause] if cause else None
        mood = 5.4 - 1.35 * self.total_strain + rng.gauss(0, 0.7)
        mentioned = theme or "fine"
        due = add_working_days(taken_on, rng.randrange(5, 20))
        done = office_hours(rng, due) if due < add_days(self.world.today, -3) and rng.random() < 0.9 else None
        self.ledger.pulses.append(
            PulseRecord(
                self.customer.key, due_on, self.manager, office_hours(rng, taken_on), self._somebody(),
                max(1, min(6, round(mood))), theme, rng.choice(texts.PULSE_NOTES[mentioned]),
                texts.NEXT_STEPS[mentioned], due, done,
            )
        )  # fmt: skip
        self._touch(taken_on, "call", "out", "Pulse check")

    def _plan(self) -> None:
        """The next planned contact; one in ten was due lately and missed."""
        if self.left_on is not None:
            return
        due_on = self.next_pulse
        if self.rng.random() < 0.1:
            due_on = add_days(self.world.today, -self.rng.randrange(1, 13))
        self.ledger.plans.append(PlanRecord(self.customer.key, self.manager, working_day(due_on)))

    # ---- staying or leaving ----------------------------------------------------------------------------

    def _wobble(self, week: dt.date) -> None:
        """A slow stretch for reasons of their own, which passes; a fifth of them alarmed us for nothing."""
        if self.leaving_from is None and self.rng.random() < 0.004:
            self.slow_until = add_days(week, self.rng.uniform(25, 60))
            if self.rng.random() < 0.2:
                self.next_order = working_day(add_days(self.next_order, self.customer.gap * 1.5))
                self._handback(add_days(week, 21), "false_alarm")

    def _hazard(self, week: dt.date) -> float:
        early = (week - self.customer.joined_on).days < EARLY_DAYS
        factor = (9.0 if self.customer.is_oversold else 1.8) if early else 1.0
        return BASE_HAZARD * factor * math.exp(STEEPNESS * self.total_strain)

    def _decide(self, week: dt.date) -> None:
        if self.leaving_from is not None:
            self._wind_down(week)
        elif (week - self.begin).days > 20 and self.rng.random() < self._hazard(week):
            self._start_leaving(week)

    def _start_leaving(self, week: dt.date) -> None:
        rng = self.rng
        has_cause = rng.random() < self.total_strain / (self.total_strain + 0.25)
        self.cause = rng.choices(list(self.strain), list(self.strain.values()))[0] if has_cause else None
        self.leaving_from = week
        is_sudden = self.cause is None and rng.random() < 0.5
        self.leaving_weeks = 0 if is_sudden else rng.randrange(1, 4 if self.customer.is_oversold else 6)
        self.handback_after = add_days(week, rng.uniform(18, 45)) if rng.random() < 0.85 else None

    def _wind_down(self, week: dt.date) -> None:
        is_over = self._progress(week) >= 1.0
        if self.handback_after is not None and (is_over or week >= self.handback_after):
            day, self.handback_after = max(week, self.handback_after), None
            is_saved = self.rng.random() < (0.55 if self.cause else 0.15)
            if self._handback(day, "saved" if is_saved else "lost"):
                if is_saved:
                    self._stay(week)
                    return
                # Nobody gives up a customer who still orders: the last order came before it was closed.
                self.gone_by = add_days(self.handed_back_until, -14)
        if is_over or (self.gone_by is not None and week >= self.gone_by):
            self.left_on, self.gone_by = week, None

    def _stay(self, week: dt.date) -> None:
        self.leaving_from, self.cause = None, None
        self.slow_until = add_days(week, 15)
        self.strain = {cause: amount * 0.25 for cause, amount in self.strain.items()}
        self.next_order = min(self.next_order, working_day(add_days(week, self.rng.uniform(8, 18))))

    def _maybe_return(self, week: dt.date) -> None:
        """A few come back after months."""
        assert self.left_on is not None
        if 180 < (week - self.left_on).days < 420 and self.rng.random() < 0.003:
            self.next_order = working_day(week)
            self.left_on = self.leaving_from = self.cause = None
            self.strain = dict.fromkeys(self.strain, 0.0)

    # ---- handbacks -------------------------------------------------------------------------------------

    def _handback(self, day: dt.date, outcome: str) -> bool:
        """Write a finished episode; not when it could not be finished by today, for then tonight's run opens it."""
        rng = self.rng
        opened_on = working_day(day)
        answered_on = add_working_days(opened_on, rng.randrange(0, 4))
        called = [answered_on]
        for _ in range(rng.randrange(0, 3)):
            called.append(add_working_days(called[-1], rng.randrange(2, 7)))
        closed_on = add_working_days(called[-1], rng.randrange(8, 25))
        if closed_on >= self.world.today or opened_on <= max(
            self.handed_back_until, self.world.practice_from
        ):
            return False
        self.handed_back_until = closed_on
        seller = self._seller(opened_on) or self.world.staff.manager(self.customer.region).email
        reason, churn_reason, note = self._account_of(outcome)
        probability = round(rng.uniform(0.42, 0.78), 2)
        yearly = self.customer.basket * 365 / self.customer.gap
        attempts = tuple(
            (office_hours(rng, when), rng.choice(("call", "call", "email", "meeting")), turn == len(called) - 1,
             "Spoke with them." if turn == len(called) - 1 else "Left a message.")
            for turn, when in enumerate(called)
        )  # fmt: skip
        self.ledger.handbacks.append(
            HandbackRecord(
                self.customer.key, seller, rng.choice(("at_risk", "at_risk", "quiet")), probability, reason,
                cents(yearly * probability), self.customer.currency, office_hours(rng, opened_on),
                add_working_days(opened_on, 2), attempts[0][0], attempts, office_hours(rng, closed_on),
                outcome, churn_reason, note,
            )
        )  # fmt: skip
        for moment, kind, _, what in attempts:
            self._touch(moment.date(), kind, "out", f"Handback: {what.lower()}", seller)
        return True

    def _account_of(self, outcome: str) -> tuple[str, str | None, str]:
        """Why it was handed back, the churn reason when lost, and the closing note."""
        if outcome == "false_alarm":
            return "No order for twice their usual gap.", None, texts.FALSE_ALARM
        if self.cause is None:
            reason = "No order for twice their usual gap."
            lost = self.rng.choice(texts.OUTSIDE)
            return (
                (reason, None, "Ordering again after a talk.") if outcome == "saved" else (reason, lost, "")
            )
        reason, code, worked, failed = texts.CAUSES[self.cause]
        return (reason, None, worked) if outcome == "saved" else (reason, code, failed)

    # ---- contracts -------------------------------------------------------------------------------------

    def _contracts(self) -> None:
        """Yearly agreements from the first day on, each renewed until the customer has left."""
        if not self.customer.has_contract:
            return
        rng, today = self.rng, self.world.today
        years = max(0, (self.begin - self.customer.joined_on).days // 365)
        starts_on = add_days(self.customer.joined_on, 365 * years)
        yearly = self.customer.basket * 365 / self.customer.gap
        while starts_on <= today and (self.left_on is None or starts_on < self.left_on):
            ends_on = add_days(starts_on, 364)
            has_ended = self.left_on is not None and self.left_on <= add_days(ends_on, 1)
            self._contract(starts_on, ends_on, yearly, self.left_on if has_ended else None)
            starts_on = add_days(starts_on, 365)
            if rng.random() < 0.03:
                return

    def _contract(
        self, starts_on: dt.date, ends_on: dt.date, yearly: float, cancelled_on: dt.date | None
    ) -> None:
        rng = self.rng
        told = rng.random() < (0.3 if self.customer.is_oversold else 0.75)
        reason = None
        if cancelled_on is not None:
            reason = texts.CAUSES[self.cause][1] if self.cause else rng.choice(texts.OUTSIDE)
        self.ledger.contracts.append(
            ContractRecord(
                self.ledger.next_key("K"), self.customer.key, starts_on, ends_on,
                cents(yearly * self.world.price_level(starts_on) * rng.uniform(0.85, 1.0)), self.customer.currency,
                rng.choice((30, 60, 90)), rng.random() < 0.4, starts_on if told else None,
                self.customer.salesperson if told else None,
                add_days(starts_on, 3) if told and rng.random() < 0.8 else None, cancelled_on, reason,
            )
        )  # fmt: skip
