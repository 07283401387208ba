"""A book of customers in the database for the tests of scoring."""

import datetime as dt
from decimal import Decimal

import numpy as np

from accounts.models import Account, Order
from retention.models import Score

AS_OF = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2)


def fill_book(customers: int, days: int = 400, seed: int = 1) -> list[Account]:
    """Accounts that order at their own pace; most of them stop one day."""
    random = np.random.default_rng(seed)
    accounts = Account.objects.bulk_create(
        [Account(external_id=f"B{n:04d}", name=f"Customer {n}", currency="EUR") for n in range(customers)]
    )
    start = dt.datetime.combine(AS_OF - dt.timedelta(days=days), dt.time(12), dt.UTC)
    orders = []
    for account in accounts:
        now = random.uniform(0, days * 0.6)
        last, pace = now + random.exponential(250.0), random.gamma(2.0, 12.0) + 3
        while now <= min(last, days):
            amount = Decimal(str(round(float(random.lognormal(4, 0.5)), 2)))
            number = f"O{len(orders):06d}"
            orders.append(
                Order(account=account, external_id=number, ordered_at=start + dt.timedelta(days=int(now)),
                      amount=amount, currency="EUR")
            )  # fmt: skip
            now += random.exponential(pace)
    Order.objects.bulk_create(orders, batch_size=5000)
    return accounts


def scores_by_account(as_of: dt.date = AS_OF) -> list[tuple[object, ...]]:
    """All that a run says about each account, to compare two runs."""
    return [
        (
            score.account_id,
            score.churn_probability,
            score.tier,
            score.revenue_at_risk,
            score.reasons,
            score.model_version,
        )
        for score in Score.objects.filter(as_of=as_of).order_by("account_id")
    ]
