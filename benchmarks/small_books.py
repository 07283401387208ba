"""Small books and short histories: how the score fares against BG/NBD alone. Prints two tables.

    .venv/bin/python benchmarks/small_books.py LOG.csv.gz:HORIZON... [--seeds 5]

Small: the model is fitted on so many customers drawn from the log and judged on all customers of the log at the same
T (day after the last order - horizon), so that the figures say something about 30 customers. Short: only customers
whose first purchase is at most so many horizons before T. P0 is BG/NBD fitted on the same customers.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retention.scoring.features import features_at, rhythm_state
from retention.scoring.history import History, history_from_rows, purchases_of
from retention.scoring.ladder import fit_model
from retention.scoring.metrics import Figures, figures

SIZES = (30, 60, 100, 200, 300)
HORIZONS = (1.5, 2.0, 2.5, 3.0)


@dataclass(frozen=True)
class Book:
    """A log up to T, and who of its customers did not return."""

    name: str
    known: History
    as_of: int
    horizon: int
    first_day: np.ndarray
    churned: np.ndarray


def book_of(given: str) -> Book:
    path, text = given.rsplit(":", 1)
    horizon = int(text)
    log = pd.read_csv(path, dtype={"customer_id": str}, parse_dates=["ordered_at"])
    log = log[log["amount"] > 0]
    day = (log["ordered_at"].dt.normalize() - pd.Timestamp("1970-01-01")).dt.days.to_numpy()
    account, amount = pd.factorize(log["customer_id"])[0], log["amount"].to_numpy(dtype=float)
    as_of = int(day.max()) - horizon
    past = day <= as_of
    known = history_from_rows(account[past], day[past], amount[past])
    churned = ~np.isin(known.account_ids, account[~past])
    return Book(Path(path).name.split(".")[0], known, as_of, horizon, known.day[known.offsets[:-1]], churned)


def judged(book: Book, fitted_on: History, judged_on: np.ndarray) -> tuple[str, Figures, Figures]:
    """Stage, and figures of score and P0 on the chosen customers, of a model fitted on some customers."""
    model = fit_model(fitted_on, book.as_of, book.horizon)
    purchases = purchases_of(book.known)
    state = rhythm_state(purchases, book.as_of, judged_on)
    p_silent = model.basis.bgnbd.p_silent(state.x, state.t_x, state.age, book.horizon)
    p = expit(model.logit(features_at(purchases, book.as_of, judged_on, model.basis), p_silent))
    stage = model.stage if model.has_signal else "no signal"
    return stage, figures(book.churned[judged_on], p), figures(book.churned[judged_on], p_silent)


def line(name: str, size: object, found: list[tuple[str, Figures, Figures]]) -> str:
    ours = np.array([[score.auc, score.log_loss] for _, score, _ in found])
    p0 = np.array([[rhythm.auc, rhythm.log_loss] for _, _, rhythm in found])
    stages = [stage for stage, _, _ in found]
    told = ", ".join(f"{stages.count(stage)} {stage}" for stage in dict.fromkeys(sorted(stages)))
    gain, worst = p0.mean(axis=0) - ours.mean(axis=0), (ours - p0)[:, 1].max()
    return (
        f"| {name} | {size} | {told} | {ours[:, 0].mean():.4f} | {-gain[0]:+.4f} | {ours[:, 1].mean():.4f} |"
        f" {-gain[1]:+.4f} | {worst:+.4f} |"
    )


HEAD = "| log | {} | stages | AUC | to P0 | log loss | to P0 | worst |\n|---|---|---|---|---|---|---|---|"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("logs", nargs="+", metavar="LOG:HORIZON")
    parser.add_argument("--seeds", type=int, default=5)
    opt = parser.parse_args()
    books = [book_of(given) for given in opt.logs]
    print(HEAD.format("customers"))
    for book in books:
        everyone = np.arange(book.known.accounts)
        for size in SIZES:
            found = []
            for seed in range(opt.seeds):
                drawn = np.random.default_rng(seed).choice(everyone, size, replace=False)
                found.append(judged(book, book.known.only(book.known.account_ids[np.sort(drawn)]), everyone))
            print(line(book.name, size, found), flush=True)
    print("\n" + HEAD.format("horizons of history"))
    for book in books:
        for length in HORIZONS:
            rows = np.flatnonzero(book.first_day > book.as_of - length * book.horizon)
            if len(rows) < SIZES[0]:
                continue
            found = [judged(book, book.known.only(book.known.account_ids[rows]), rows)]
            print(line(book.name, f"{length:g} ({len(rows)} customers)", found), flush=True)


if __name__ == "__main__":
    main()
