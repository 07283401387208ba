"""The sample company as the scoring engine sees it, without a database; and what its records beyond orders are worth."""

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np

from retention.sample.records import SampleCompany
from retention.scoring import metrics
from retention.scoring.fitting import fit_book
from retention.scoring.history import UNKNOWN_DAY, History, history_from_rows, purchases_of
from retention.scoring.horizon import default_horizon
from retention.scoring.labels import churned
from retention.scoring.models import COLUMNS, FittedModel
from retention.scoring.parts import Standing
from retention.scoring.scores import score_accounts
from retention.scoring.signals import Events, Signals, records_of

EPOCH = dt.date(1970, 1, 1)
WEIGHTS = {"low": 1, "medium": 2, "high": 3}


def number(day: dt.date | dt.datetime | None) -> int:
    if day is None:
        return int(UNKNOWN_DAY)
    return ((day.date() if isinstance(day, dt.datetime) else day) - EPOCH).days


def arrays_of(company: SampleCompany) -> tuple[History, Signals]:
    """Accounts are numbered as they stand."""
    place = {account.key: at for at, account in enumerate(company.accounts, 1)}
    ids = np.arange(1, len(place) + 1)
    orders = [order for order in company.orders if order.status != "cancelled"]
    history = history_from_rows(
        np.array([place[order.account] for order in orders]),
        np.array([number(order.ordered_at) for order in orders]),
        np.array([float(order.amount) for order in orders]),
        account_ids=ids,
        promised=np.array([number(order.promised_on) for order in orders]),
        delivered=np.array([number(order.delivered_on) for order in orders]),
    )

    def kind(names: str, rows: list[tuple[str, int, *tuple[int, ...]]]) -> Events | None:
        columns = {
            name: np.array([row[at] for row in rows], dtype=np.int32)
            for at, name in enumerate(names.split(), 1)
        }
        return records_of(ids, np.array([place[row[0]] for row in rows], dtype=np.int64), **columns)

    touches = {(i.account, number(i.happened_at)) for i in company.interactions}
    touches |= {(p.account, number(p.taken_at)) for p in company.pulses}
    left = [c for c in company.contacts if c.left_on]
    return history, Signals(
        ids,
        issues=kind(
            "day until weight",
            [
                (i.account, number(i.opened_at), number(i.resolved_at), WEIGHTS[i.severity])
                for i in company.issues
            ],
        ),
        promises=kind(
            "day due kept",
            [(p.account, number(p.made_on), number(p.due_on), number(p.kept_on)) for p in company.promises],
        ),
        touches=kind("day", sorted(touches)),
        pulses=kind("day score", [(p.account, number(p.taken_at), p.score) for p in company.pulses]),
        people=kind(
            "day until", [(c.account, number(c.created_at), number(c.left_on)) for c in company.contacts]
        ),
        departures=kind(
            "day weight",
            [
                (c.account, number(c.left_on), 2 if c.role in {"champion", "decision_maker"} else 1)
                for c in left
            ],
        ),
        owners=kind(
            "day weight",
            [(c.account, number(c.changed_at), 1) for c in company.owner_changes if c.to_user],
        ),
        vacancies=kind("day until", _vacancies(company)),
        handbacks=kind(
            "day until lost",
            [
                (h.account, number(h.opened_at), number(h.closed_at), int(h.outcome == "lost"))
                for h in company.handbacks
            ],
        ),
    )


def _vacancies(company: SampleCompany) -> list[tuple[str, int, int]]:
    """Salespeople who left are never replaced; an account manager is, on the day of the change."""
    left = {person.email: number(person.left_on) for person in company.people if person.left_on}
    found = [
        (
            account.key,
            max(left[account.original_salesperson], number(account.became_customer_on)),
            int(UNKNOWN_DAY),
        )
        for account in company.accounts
        if account.original_salesperson in left and account.became_customer_on
    ]
    for change in company.owner_changes:
        if change.from_user in left and left[change.from_user] < number(change.changed_at):
            found.append((change.account, left[change.from_user], number(change.changed_at)))
        if change.to_user is None:
            found.append((change.account, number(change.changed_at), int(UNKNOWN_DAY)))
    return found


def of_orders(model: FittedModel) -> FittedModel:
    """The same model without what is known beyond orders."""
    standing = Standing(model.standing.added[: len(COLUMNS)], model.standing.values[: len(COLUMNS)])
    return replace(model, adjustment=None, since=None, standing=standing)


@dataclass(frozen=True)
class Worth:
    """Log loss over all customers of the last horizon, by orders alone and with what is known beyond them."""

    customers: int
    orders: float
    both: float
    base: float
    model: FittedModel

    @property
    def gain(self) -> float:
        return self.orders - self.both


def measure(company: SampleCompany, today: dt.date, back: int = 1) -> Worth:
    """Put the company back by `back` horizons, fit both ways, and see what came."""
    history, signals = arrays_of(company)
    whole = purchases_of(history)
    horizon = default_horizon(whole, number(today))
    day = number(today) - back * horizon
    model = fit_book(history, signals, day, horizon)
    both = score_accounts(history, day, model, signals=signals)
    orders = score_accounts(history, day, of_orders(model))
    rows = np.searchsorted(whole.account_ids, both.account_ids)
    gone = churned(whole, day, horizon, rows).astype(float)
    rate = np.full(len(gone), gone.mean())
    return Worth(
        len(gone),
        metrics.log_loss(gone, orders.probability),
        metrics.log_loss(gone, both.probability),
        metrics.log_loss(gone, rate),
        model,
    )
