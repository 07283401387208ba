#!/usr/bin/env python3
"""How well the contract model ranks and calibrates on a flat table of customers with a churn column.

    python benchmarks/telco.py telco_wa_churn.csv.gz [--folds 5] [--seed 0] [--json FILE]

Stratified folds; every customer is predicted once, by a model that was fitted without its fold through the functions
the product uses (`retention.scoring.learner`). Beside it, on the same folds: scikit-learn's LogisticRegression
(numbers standardised, words one-hot) and HistGradientBoostingClassifier, both as they come.
A column that only numbers the rows (row, id) is left out. "yes", "true", "1" mean churned.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retention.scoring.learner import fit_table, plain_lesson
from retention.scoring.metrics import auc, figures
from retention.scoring.tables import Table

YES = {"yes", "true", "1", "churned"}
COLUMNS = ("auc", "auc_of_folds", "log_loss", "ece", "brier")


def read(path: Path, target: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Facts and whether each customer churned."""
    rows = pd.read_csv(path)
    named = {str(name).lower(): name for name in rows.columns}
    if target.lower() not in named:
        sys.exit(f"{path.name} has no column {target}; it has {', '.join(map(str, rows.columns))}.")
    churned = rows.pop(named[target.lower()]).astype(str).str.strip().str.lower().isin(YES).to_numpy()
    numbering = [name for name in rows if is_numbering(rows[name])]
    return rows.drop(columns=numbering), churned


def is_numbering(column: pd.Series) -> bool:
    """1, 2, 3 ... or a different word in every row."""
    if not pd.api.types.is_numeric_dtype(column):
        return column.nunique() == len(column)
    return bool((column.diff().dropna() == 1).all())


def as_table(facts: pd.DataFrame) -> Table:
    """The product's own form: numbers with NaN, words with ""."""
    numeric = [name for name in facts if pd.api.types.is_numeric_dtype(facts[name])]
    return Table(
        {name: facts[name].to_numpy(dtype=float) for name in numeric},
        {
            name: facts[name].fillna("").astype(str).to_numpy(dtype=object)
            for name in facts
            if name not in numeric
        },
    )


def product(
    facts: pd.DataFrame, churned: np.ndarray, known: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, str]:
    table = as_table(facts)
    lesson = plain_lesson(table.rows(known), churned[known])
    model = fit_table(lesson)
    usual = np.full(len(asked), lesson.usual[0])
    return 1 / (1 + np.exp(-model.logit(table.rows(asked), usual))), model.rung


def stock(name: str, facts: pd.DataFrame) -> Any:
    """A scikit-learn model with its defaults."""
    words = [column for column in facts if not pd.api.types.is_numeric_dtype(facts[column])]
    numbers = [column for column in facts if column not in words]
    if name == "LogisticRegression":
        scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        coded = make_column_transformer(
            (scaled, numbers), (OneHotEncoder(handle_unknown="ignore"), words), remainder="drop"
        )
        return make_pipeline(coded, LogisticRegression())
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    coded = make_column_transformer(
        ("passthrough", numbers), (ordinal, words), remainder="drop", sparse_threshold=0
    )
    kinds = [False] * len(numbers) + [True] * len(words)
    return make_pipeline(coded, HistGradientBoostingClassifier(random_state=0, categorical_features=kinds))


def judge(churned: np.ndarray, p: np.ndarray, folds: list[np.ndarray]) -> dict[str, float]:
    said = figures(churned, p).as_dict()
    said["auc_of_folds"] = round(float(np.mean([auc(churned[f].astype(float), p[f]) for f in folds])), 4)
    return {name: said[name] for name in COLUMNS}


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("file", type=Path)
    ask.add_argument("--target", default="churn", help="name of the column that says who churned")
    ask.add_argument("--folds", type=int, default=5)
    ask.add_argument("--seed", type=int, default=0, help="of the folds")
    ask.add_argument("--json", type=Path)
    chosen = ask.parse_args()
    facts, churned = read(chosen.file, chosen.target)
    splits = list(StratifiedKFold(chosen.folds, shuffle=True, random_state=chosen.seed).split(facts, churned))
    names = ("Mainstay", "LogisticRegression", "HistGradientBoosting")
    predicted = {name: np.zeros(len(churned)) for name in names}
    seconds = dict.fromkeys(names, 0.0)
    rungs = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's remarks on convergence of its own defaults
        for known, asked in splits:
            for name in names:
                began = time.process_time()
                if name == "Mainstay":
                    predicted[name][asked], rung = product(facts, churned, known, asked)
                    rungs.append(rung)
                else:
                    model = stock(name, facts).fit(facts.iloc[known], churned[known])
                    predicted[name][asked] = model.predict_proba(facts.iloc[asked])[:, 1]
                seconds[name] += time.process_time() - began
    told = {name: judge(churned, predicted[name], [asked for _, asked in splits]) for name in names}
    print(
        f"{chosen.file.name}: {len(churned):,} customers, {churned.mean():.1%} churned, {facts.shape[1]} facts,"
        f" {chosen.folds} folds (seed {chosen.seed}); rung per fold: {', '.join(rungs)}"
    )
    print(f"{'':<22}" + "".join(f"{name:>14}" for name in COLUMNS) + f"{'CPU s':>10}")
    for name in names:
        print(f"{name:<22}" + "".join(f"{told[name][c]:14.4f}" for c in COLUMNS) + f"{seconds[name]:10.1f}")
    if chosen.json:
        chosen.json.write_text(
            json.dumps({"file": chosen.file.name, "rungs": rungs, "figures": told}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
