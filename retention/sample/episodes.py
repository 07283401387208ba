"""Handbacks and contracts of a customer."""

import datetime as dt

from retention.sample import texts
from retention.sample.buying import cents
from retention.sample.care import Care
from retention.sample.records import ContractRecord, HandbackRecord
from retention.sample.story import Story
from retention.sample.world import add_days, add_working_days, office_hours, working_day


class Episodes:
    """What is agreed for a year, and what is done when a customer may leave."""

    def __init__(self, story: Story, care: Care) -> None:
        self.story, self.care = story, care

    def handback(self, day: dt.date, outcome: str) -> bool:
        """Write a finished episode; not when it could not be finished by today, for then tonight's run opens it."""
        rng = self.story.rng
        opened_on = working_day(day)
        answered_on = add_working_days(opened_on, rng.randrange(0, 4))
        called = [answered_on]
        for _ in range(rng.randrange(0, 3)):
            called.append(add_working_days(called[-1], rng.randrange(2, 7)))
        closed_on = add_working_days(called[-1], rng.randrange(8, 25))
        if closed_on >= self.story.world.today or opened_on <= max(
            self.story.handed_back_until, self.story.world.practice_from
        ):
            return False
        self.story.handed_back_until = closed_on
        seller = (
            self.story.seller(opened_on) or self.story.world.staff.manager(self.story.customer.region).email
        )
        reason, churn_reason, note = self._account_of(outcome)
        probability = round(rng.uniform(0.42, 0.78), 2)
        yearly = self.story.customer.basket * 365 / self.story.customer.gap
        attempts = tuple(
            (office_hours(rng, when), rng.choice(("call", "call", "email", "meeting")), turn == len(called) - 1,
             "Spoke with them." if turn == len(called) - 1 else "Left a message.")
            for turn, when in enumerate(called)
        )  # fmt: skip
        self.story.ledger.handbacks.append(
            HandbackRecord(
                self.story.customer.key, seller, rng.choice(("at_risk", "at_risk", "quiet")), probability, reason,
                cents(yearly * probability), self.story.customer.currency, office_hours(rng, opened_on),
                add_working_days(opened_on, 2), attempts[0][0], attempts, office_hours(rng, closed_on),
                outcome, churn_reason, note,
            )
        )  # fmt: skip
        for moment, kind, _, what in attempts:
            self.care.touch(moment.date(), kind, "out", f"Handback: {what.lower()}", seller)
        return True

    def _account_of(self, outcome: str) -> tuple[str, str | None, str]:
        """Why it was handed back, the churn reason when lost, and the closing note."""
        if outcome == "false_alarm":
            return "No order for twice their usual gap.", None, texts.FALSE_ALARM
        if self.story.cause is None:
            reason = "No order for twice their usual gap."
            lost = self.story.rng.choice(texts.OUTSIDE)
            return (
                (reason, None, "Ordering again after a talk.") if outcome == "saved" else (reason, lost, "")
            )
        reason, code, worked, failed = texts.CAUSES[self.story.cause]
        return (reason, None, worked) if outcome == "saved" else (reason, code, failed)

    def contracts(self) -> None:
        """Yearly agreements from the first day on, each renewed until the customer has left."""
        if not self.story.customer.has_contract:
            return
        rng, today = self.story.rng, self.story.world.today
        years = max(0, (self.story.begin - self.story.customer.joined_on).days // 365)
        starts_on = add_days(self.story.customer.joined_on, 365 * years)
        yearly = self.story.customer.basket * 365 / self.story.customer.gap
        while starts_on <= today and (self.story.left_on is None or starts_on < self.story.left_on):
            ends_on = add_days(starts_on, 364)
            has_ended = self.story.left_on is not None and self.story.left_on <= add_days(ends_on, 1)
            self._contract(starts_on, ends_on, yearly, self.story.left_on if has_ended else None)
            starts_on = add_days(starts_on, 365)
            if rng.random() < 0.03:
                return

    def _contract(
        self, starts_on: dt.date, ends_on: dt.date, yearly: float, cancelled_on: dt.date | None
    ) -> None:
        rng = self.story.rng
        told = rng.random() < (0.3 if self.story.customer.is_oversold else 0.75)
        reason = None
        if cancelled_on is not None:
            reason = texts.CAUSES[self.story.cause][1] if self.story.cause else rng.choice(texts.OUTSIDE)
        self.story.ledger.contracts.append(
            ContractRecord(
                self.story.ledger.next_key("K"), self.story.customer.key, starts_on, ends_on,
                cents(yearly * self.story.world.price_level(starts_on) * rng.uniform(0.85, 1.0)), self.story.customer.currency,
                rng.choice((30, 60, 90)), rng.random() < 0.4, starts_on if told else None,
                self.story.customer.salesperson if told else None,
                add_days(starts_on, 3) if told and rng.random() < 0.8 else None, cancelled_on, reason,
            )
        )  # fmt: skip
