"""What orders cost, where that is known: money that goes with an account is what is left after cost."""

from __future__ import annotations

import datetime as dt

import numpy as np

from retention.datasets.orders import end_of_day, in_company_currency, restricted_to
from retention.datasets.wire import LAST_ID, copy_to_array
from retention.scoring.history import Ints
from retention.scoring.money import Margins


def load_margins(
    as_of: dt.date, first_id: int = 0, last_id: int = LAST_ID, only: Ints | None = None
) -> Margins:
    """Sales and costs of purchases up to the end of `as_of` whose cost is known, in the company's currency."""
    (sold, cost), join = in_company_currency("o.amount", "o.cost")
    query = f"""
        SELECT o.account_id, sum({sold})::float8, sum({cost})::float8
        FROM accounts_order o {join}
        WHERE o.cost IS NOT NULL AND o.amount > 0 AND o.status <> 'cancelled'
            AND o.ordered_at < {end_of_day(as_of)} AND {restricted_to(first_id, last_id, only, "o.account_id")}
        GROUP BY o.account_id ORDER BY o.account_id
        """  # noqa: S608 - whole numbers, and words of these modules
    rows = copy_to_array(query, {"account": ">i8", "sold": ">f8", "cost": ">f8"})
    return Margins(
        rows["account"].astype(np.int64), rows["sold"].astype(np.float64), rows["cost"].astype(np.float64)
    )
