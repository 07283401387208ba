"""The only bridge from tables to arrays; every reader requires `as_of` and returns nothing dated after that day."""

from retention.datasets.orders import load_account_ids, load_history, order_days
from retention.datasets.records import Records, load_records
from retention.datasets.signals import load_signals
from retention.datasets.wire import LAST_ID, copy_to_array, date_of, day_number

__all__ = [
    "LAST_ID",
    "Records",
    "copy_to_array",
    "date_of",
    "day_number",
    "load_account_ids",
    "load_history",
    "load_records",
    "load_signals",
    "order_days",
]
