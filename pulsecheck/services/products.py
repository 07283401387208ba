"""Works out every night who has bought what, what customers bought next, and how good suggestions from that are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from django.db import connection, transaction

from accounts.models import Order, OrderLine
from accounts.models.commerce import OrderStatus
from accounts.selectors import get_company
from pulsecheck.models import Holding, ProductStep, ProductStudy
from pulsecheck.next_product import FOLLOW_DAYS, History, steps_of, try_out

LOCK = 0x50524F44  # one study at a time; the number means nothing
MOST_TRIED = 20_000  # customers a trial looks at: enough to measure a share to less than a point
FRESH = """
DROP TABLE IF EXISTS fresh_holding;
CREATE TEMPORARY TABLE fresh_holding ON COMMIT DROP AS
SELECT o.account_id, l.product_id, count(DISTINCT o.id) AS orders,
       min((o.ordered_at AT TIME ZONE %(zone)s)::date) AS first_on,
       max((o.ordered_at AT TIME ZONE %(zone)s)::date) AS last_on
FROM {lines} l JOIN {orders} o ON o.id = l.order_id
WHERE o.amount > 0 AND o.status NOT IN %(void)s
GROUP BY o.account_id, l.product_id
"""
UPSERT = """
INSERT INTO {holdings} (account_id, product_id, orders, first_on, last_on)
SELECT account_id, product_id, orders, first_on, last_on FROM fresh_holding
ON CONFLICT (account_id, product_id) DO UPDATE
SET orders = excluded.orders, first_on = excluded.first_on, last_on = excluded.last_on
WHERE ({holdings}.orders, {holdings}.first_on, {holdings}.last_on)
      IS DISTINCT FROM (excluded.orders, excluded.first_on, excluded.last_on)
"""
FORGET = """
DELETE FROM {holdings} h WHERE NOT EXISTS (
  SELECT 1 FROM fresh_holding f WHERE f.account_id = h.account_id AND f.product_id = h.product_id)
"""


@transaction.atomic
def study_products(today: dt.date) -> ProductStudy:
    """Bring holdings, steps and the trial up to `today`; doing it twice gives the same rows. Whoever reads meanwhile
    sees the figures of the night before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(_named(FRESH), {"zone": get_company().time_zone, "void": _void()})
        cursor.execute("ANALYZE fresh_holding")
        cursor.execute(_named(UPSERT))
        cursor.execute(_named(FORGET))
    steps = steps_of(_histories(), today)
    ProductStep.objects.all().delete()
    ProductStep.objects.bulk_create(
        (
            ProductStep(
                bought_id=step.bought,
                following_id=step.following,
                buyers=step.buyers,
                followers=step.followers,
            )
            for step in steps
        ),
        batch_size=5000,
    )
    return _record_trial(today)


def _void() -> tuple[str, str]:
    return OrderStatus.CANCELLED.value, OrderStatus.RETURNED.value


def _named(sql: str) -> str:
    quote = connection.ops.quote_name
    return sql.format(
        holdings=quote(Holding._meta.db_table),
        lines=quote(OrderLine._meta.db_table),
        orders=quote(Order._meta.db_table),
    )


def _histories() -> Iterator[History]:
    """The first purchases of one customer after the other."""
    rows = Holding.objects.order_by("account_id", "product_id")
    columns = rows.values_list("account_id", "product_id", "first_on").iterator(chunk_size=20_000)
    for _, group in groupby(columns, key=itemgetter(0)):
        yield {product: day for _, product, day in group}


def _record_trial(today: dt.date) -> ProductStudy:
    histories = list(_histories())
    every = max(1, len(histories) // MOST_TRIED)
    trial = try_out(histories[::every], today - dt.timedelta(days=FOLLOW_DAYS))
    ProductStudy.objects.exclude(as_of=today).delete()
    study, _ = ProductStudy.objects.update_or_create(
        as_of=today,
        defaults={
            "customers": len(histories),
            "suggested": trial.suggested,
            "hits": trial.hits,
            "plain_hits": trial.plain_hits,
            "days": trial.days,
        },
    )
    return study
