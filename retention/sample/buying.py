"""What a customer buys, when, and whether it comes on time."""

import datetime as dt
import math
from decimal import Decimal

from retention.sample.care import Care
from retention.sample.records import LineRecord, OrderRecord
from retention.sample.story import Story
from retention.sample.world import WEEK, add_days, add_working_days, office_hours, working_day

CENT = Decimal("0.01")


def cents(amount: float) -> Decimal:
    return Decimal(round(amount * 100)) * CENT


class Buying:
    """Orders, deliveries and returns; a late delivery may become a complaint."""

    def __init__(self, story: Story, care: Care) -> None:
        self.story, self.care = story, care

    def orders(self, week: dt.date) -> None:
        end = min(week + WEEK, self.story.world.today + dt.timedelta(days=1))
        while self.story.next_order < end and self.story.left_on is None:
            self._order(self.story.next_order)
            self.story.next_order = self._following(self.story.next_order)

    def _following(self, day: dt.date) -> dt.date:
        season = self.story.customer.segment.season[day.month - 1]
        slow = 1.0
        if self.story.leaving_from is not None:
            slow = 1.25 + 2.0 * self.story.progress(day)
        elif day < self.story.slow_until:
            slow = 1.6
        mean = self.story.customer.gap * slow / math.sqrt(season)
        return working_day(add_days(day, max(1.0, self.story.rng.gammavariate(7, mean / 7))))

    def _basket(self, day: dt.date) -> float:
        season = self.story.customer.segment.season[day.month - 1]
        years = (day - self.story.world.today).days / 365
        shrunk = 1 - 0.5 * self.story.progress(day)
        noise = self.story.rng.lognormvariate(0, 0.25)
        level = self.story.world.price_level(day) * (1 + self.story.customer.growth) ** years
        return self.story.customer.basket * level * math.sqrt(season) * shrunk * noise

    def _order(self, day: dt.date) -> None:
        key = self.story.ledger.next_key("O")
        off = 0.05 if self.story.customer.has_contract else 0.0
        amount, listed, cost = self._lines(key, day, off)
        promised, delivered = self._delivery(day)
        status = "delivered" if delivered else "placed"
        if self.story.rng.random() < 0.008:
            status, delivered = "cancelled", None
        moment = office_hours(self.story.rng, day)
        self.story.ledger.orders.append(
            OrderRecord(
                key, self.story.customer.key, moment, amount, self.story.customer.currency, status, promised, delivered,
                cost, listed - amount,
            )
        )  # fmt: skip
        if status == "delivered" and delivered is not None and self.story.rng.random() < 0.014:
            self._return(add_days(delivered, 2), amount, cost)

    def _lines(self, order: str, day: dt.date, off: float) -> tuple[Decimal, Decimal, Decimal]:
        """Amount, amount at list prices and cost of an order of about the usual basket."""
        rng, level = self.story.rng, self.story.world.price_level(day)
        wanted = self._basket(day)
        chosen = rng.sample(self.story.assortment, min(len(self.story.assortment), rng.choice((1, 2, 2, 3))))
        amount, listed, cost = Decimal(0), Decimal(0), Decimal(0)
        for number, series in enumerate(chosen, 1):
            product = rng.choice(self.story.world.products[series])
            full = cents(float(product.unit_price) * level)
            price = cents(float(full) * (1 - off))
            quantity = max(1, round(wanted / len(chosen) / float(price)))
            self.story.ledger.lines.append(LineRecord(order, product.key, quantity, price, number))
            amount += quantity * price
            listed += quantity * full
            cost += quantity * cents(float(product.unit_cost) * level)
        return amount, listed, cost

    def _delivery(self, day: dt.date) -> tuple[dt.date, dt.date | None]:
        """Promised and delivered day; a late one puts strain on the customer and may become a complaint."""
        rng = self.story.rng
        promised = add_working_days(day, rng.choice((1, 2, 2, 3)))
        share = self.story.customer.late_share + self.story.world.late_share(
            self.story.customer.region, promised
        )
        delivered, late = promised, 0
        if rng.random() < share:
            late = 1 + min(9, int(rng.expovariate(0.45)))
            delivered = add_working_days(promised, late)
            self.story.coming.append((promised, "delivery", 0.13 + 0.08 * late))
        if delivered > self.story.world.today:
            return promised, None
        if late >= 2 and rng.random() < 0.2:
            self.care.issue(delivered, "delivery", days=late)
        return promised, delivered

    def _return(self, day: dt.date, amount: Decimal, cost: Decimal) -> None:
        if day > self.story.world.today:
            return
        share = Decimal(self.story.rng.choice((10, 20, 30))) / 100
        self.story.ledger.orders.append(
            OrderRecord(
                self.story.ledger.next_key("O"), self.story.customer.key, office_hours(self.story.rng, day),
                -(amount * share).quantize(CENT), self.story.customer.currency, "returned", None, None,
                -(cost * share).quantize(CENT), Decimal(0),
            )
        )  # fmt: skip
