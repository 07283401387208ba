"""Do the contributions of every account sum to its score? python benchmarks/contributions.py orders.csv.gz [YYYY-MM-DD]

The file has the columns customer_id, ordered_at and amount. The book is fitted and scored as of the day given (by
default 90 days before its last order), as the product does it. Printed is the largest difference, over all accounts,
between the score and (1) a customer in good standing plus the contributions by factor, in log odds and in
probability, (2) the base plus the points of the reasons that are stored, in percentage points. Exits 1 when a
contribution is off by more than 1e-9 or stored points by more than their rounding to two places.
"""

import datetime as dt
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retention.scoring.explain import factors_of, moved
from retention.scoring.features import features_at, rhythm_state
from retention.scoring.history import History, history_from_rows, purchases_of
from retention.scoring.ladder import fit_model, fit_sample
from retention.scoring.scores import LEAST_PROBABILITY, score_accounts

HORIZON = 90
EPOCH = dt.date(1970, 1, 1)
EXACT, ROUNDED = 1e-9, 0.0051


def read_orders(path: str) -> History:
    """Customers numbered in the order of their names."""
    table = pd.read_csv(path, usecols=["customer_id", "ordered_at", "amount"], dtype={"customer_id": str})
    moments = pd.to_datetime(table["ordered_at"], utc=True, format="ISO8601")
    days = (moments - pd.Timestamp(EPOCH, tz="UTC")).dt.days.to_numpy()
    return history_from_rows(
        pd.factorize(table["customer_id"], sort=True)[0] + 1, days, table["amount"].to_numpy()
    )


def main(path: str, day: str = "") -> int:
    history = read_orders(path)
    as_of = (dt.date.fromisoformat(day) - EPOCH).days if day else int(history.day.max()) - HORIZON
    model = fit_model(history.only(fit_sample(history.account_ids)), as_of, HORIZON)
    scores = score_accounts(history, as_of, model)
    purchases = purchases_of(history.until(as_of))
    rows = purchases.customers(as_of)
    features = features_at(purchases, as_of, rows, model.basis)
    compared = moved(model.parts(features, rhythm_state(purchases, as_of, rows)), model)
    total = model.full_intercept + compared.by_factor(factors_of(compared)).sum(axis=1)
    capped = (scores.probability <= LEAST_PROBABILITY) | (scores.probability >= 1 - LEAST_PROBABILITY)
    in_logit = np.abs(total - logit(scores.probability))[~capped].max(initial=0.0)
    limited = np.clip(expit(total), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    in_probability = np.abs(limited - scores.probability).max()
    points = np.array([sum(reason["points"] for reason in reasons) for reasons in scores.reasons])
    in_points = np.abs(points - 100 * (scores.probability - scores.base_probability)).max()
    print(
        f"{Path(path).name} as of {EPOCH + dt.timedelta(days=as_of)}: {len(scores):,} accounts, stage {model.stage}"
    )
    print(
        f"largest difference of contributions: {in_logit:.1e} log odds, {in_probability:.1e} of probability"
    )
    print(f"largest difference of stored points: {in_points:.4f} percentage points (rounded to 0.01)")
    print(f"accounts whose probability is held at {LEAST_PROBABILITY:g} from 0 or 1: {int(capped.sum())}")
    return int(max(in_logit, in_probability) > EXACT or in_points > ROUNDED)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
