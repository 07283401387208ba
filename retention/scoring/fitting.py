"""Fitting all there is to know of a book: orders first, then what happened besides them."""

from dataclasses import replace

from retention.scoring.adjustment import fit_adjustment
from retention.scoring.history import UNKNOWN_DAY, History, purchases_of
from retention.scoring.ladder import fit_model, fit_with_past
from retention.scoring.models import FittedModel
from retention.scoring.signals import Signals, signal_facts


def fit_book(
    history: History, signals: Signals | None, as_of: int, horizon: int, seed: int = 0
) -> FittedModel:
    """The model of orders (`ladder.fit_model`, which see for arguments and errors) with the stage beyond orders on
    top, where there are such records and they helped. `summary["signals"]` says which did.

    Without records the result is that of the orders alone, digit for digit.
    """
    past = history.until(as_of)
    known = Signals(history.account_ids) if signals is None else signals.until(as_of)
    has_deliveries = past.promised is not None and bool((past.promised != UNKNOWN_DAY).any())
    if not known.kinds() and not has_deliveries:
        return fit_model(past, as_of, horizon, seed)
    model, moments = fit_with_past(past, as_of, horizon, seed)
    purchases = purchases_of(past)
    adjustment, found = fit_adjustment(known, purchases, moments, horizon)
    if adjustment is not None:
        facts = signal_facts(known, purchases, as_of, purchases.customers(as_of), horizon)
        model = model.adjusted(adjustment, facts)
    return replace(model, since=known.since(), summary=model.summary | {"signals": found})
