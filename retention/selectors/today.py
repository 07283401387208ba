"""What is worth doing now, for one person: at most as many rows as they can make calls in a day.

The kinds of rows are listed here; what a row is and how rows are ranked stands in `today_rows`. To add a kind, write
`retention/selectors/today_<topic>.py` with a tuple `KINDS` and name it below (docs/design.md, "A row of Today").
"""

from __future__ import annotations

import datetime as dt

from accounts.models import User
from retention.models import ScoreRun
from retention.selectors import (
    today_actions,
    today_care,
    today_disputes,
    today_handbacks,
    today_lead,
    today_listening,
    today_messages,
    today_records,
)
from retention.selectors.today_rows import Asker, Kind, Today, rows_of

KINDS: tuple[Kind, ...] = (
    *today_handbacks.KINDS,
    *today_lead.KINDS,
    *today_care.KINDS,
    *today_records.KINDS,
    *today_actions.KINDS,
    *today_listening.KINDS,
    *today_messages.KINDS,
    *today_disputes.KINDS,
)


def today_of(user: User, run: ScoreRun | None, today: dt.date) -> Today:
    """Everything `user` owes somebody, most urgent first, one row per account."""
    return rows_of(Asker(user, today, run), KINDS)
