"""All that a run looks at, read together: orders, and what happened besides them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from retention.datasets.margins import load_margins
from retention.datasets.orders import load_history
from retention.datasets.signals import load_signals
from retention.datasets.wire import LAST_ID
from retention.scoring.history import History, Ints
from retention.scoring.money import Margins
from retention.scoring.signals import Signals


@dataclass(frozen=True)
class Records:
    """Orders, signals and margins of the same accounts up to the end of one day."""

    history: History
    signals: Signals
    margins: Margins

    def between(self, first_id: int, last_id: int) -> Records:
        """The accounts with ids from `first_id` to `last_id`, both included."""
        return Records(
            self.history.between(first_id, last_id),
            self.signals.between(first_id, last_id),
            self.margins.between(first_id, last_id),
        )

    def only(self, account_ids: Ints) -> Records:
        """These of the covered accounts; the ids must be ascending."""
        return Records(
            self.history.only(account_ids), self.signals.only(account_ids), self.margins.only(account_ids)
        )


def load_records(
    as_of: dt.date, first_id: int = 0, last_id: int = LAST_ID, only: Ints | None = None
) -> Records:
    """Records up to the end of `as_of` of the accounts in a range of ids, or of `only` these."""
    return Records(
        load_history(as_of, first_id, last_id, only),
        load_signals(as_of, first_id, last_id, only),
        load_margins(as_of, first_id, last_id, only),
    )
