"""What other packages say, run by the Python of an environment that has the package.

    python package_worker.py PACKAGE FOLDER

Every FOLDER/NAME.csv has one customer a line (id, frequency, recency, T in days; the line order is kept), NAME ends in
the horizon: _90. Written are FOLDER/NAME.PACKAGE.MODEL.csv with p_silent (no purchase within the horizon) and p_gone
(1 - P(alive), the churn risk of the packages' tutorials), and a line with seconds per model.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

FIT_CUSTOMERS = 20_000  # a maximum-likelihood fit on so many equals the full one
Answer = tuple[np.ndarray, np.ndarray]


def p0(p_alive: np.ndarray, table: pd.DataFrame, r: float, alpha: float, horizon: int) -> np.ndarray:
    """No purchase within the horizon, for BG/NBD and MBG/NBD alike: stopped, or merely slow."""
    silent = ((alpha + table["T"]) / (alpha + table["T"] + horizon)) ** (r + table["frequency"])
    return np.asarray(1 - p_alive + p_alive * silent)


def sample(table: pd.DataFrame) -> pd.DataFrame:
    return table if len(table) <= FIT_CUSTOMERS else table.sample(FIT_CUSTOMERS, random_state=0)


def lifetimes(table: pd.DataFrame, horizon: int) -> Iterator[tuple[str, Callable[[], Answer]]]:
    from lifetimes import BetaGeoFitter, ModifiedBetaGeoFitter, ParetoNBDFitter

    columns = [table["frequency"], table["recency"], table["T"]]
    part = sample(table)
    fit_on = [part["frequency"], part["recency"], part["T"]]

    def geometric(fitter: type) -> Answer:
        model = fitter(penalizer_coef=0.001).fit(*fit_on)
        alive = np.asarray(model.conditional_probability_alive(*columns))
        return p0(alive, table, model.params_["r"], model.params_["alpha"], horizon), 1 - alive

    def pareto() -> Answer:
        model = ParetoNBDFitter(penalizer_coef=0.001).fit(*fit_on)
        silent = model.conditional_probability_of_n_purchases_up_to_time(0, horizon, *columns)
        return np.asarray(silent), 1 - np.asarray(model.conditional_probability_alive(*columns))

    yield "BG/NBD", lambda: geometric(BetaGeoFitter)
    yield "MBG/NBD", lambda: geometric(ModifiedBetaGeoFitter)
    yield "Pareto/NBD", pareto


def clvkit(table: pd.DataFrame, horizon: int) -> Iterator[tuple[str, Callable[[], Answer]]]:
    from clvkit import BGNBD, MBGNBD, CustomerBase

    def base(rows: pd.DataFrame) -> CustomerBase:
        end = pd.Timestamp("2000-01-01")
        return CustomerBase(
            rows[["frequency", "recency", "T"]], time_unit="D", observation_period_end=end, has_monetary=False,
            on_negative="net",
        )  # fmt: skip

    def fitted(kind: type) -> Answer:
        model = kind().fit(base(sample(table)))
        alive = model.probability_alive(base(table)).to_pandas()
        alive = alive.iloc[:, -1] if isinstance(alive, pd.DataFrame) else alive
        alive = alive.to_numpy(dtype=float)
        return p0(alive, table, model.params_["r"], model.params_["alpha"], horizon), 1 - alive

    yield "BG/NBD", lambda: fitted(BGNBD)
    yield "MBG/NBD", lambda: fitted(MBGNBD)


def pymc_marketing(table: pd.DataFrame, horizon: int) -> Iterator[tuple[str, Callable[[], Answer]]]:
    from pymc_marketing.clv import BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel

    rows = table.rename(columns={"id": "customer_id"})

    def mean(values: object) -> np.ndarray:
        return np.asarray(values.mean(("chain", "draw"))).ravel()  # type: ignore[attr-defined]

    def fitted(kind: type) -> Answer:
        model = kind(data=sample(rows))
        model.fit(method="map", progressbar=False)
        alive = mean(model.expected_probability_alive(rows))
        found = model.fit_result
        r, alpha = float(found["r"].mean()), float(found["alpha"].mean())
        if kind is ParetoNBDModel:
            silent = mean(model.expected_purchase_probability(rows, n_purchases=0, future_t=horizon))
            return silent, 1 - alive
        return p0(alive, table, r, alpha, horizon), 1 - alive

    for kind in (BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel):
        yield f"{kind.__name__} MAP", lambda kind=kind: fitted(kind)


PACKAGES = {"lifetimes": lifetimes, "clvkit": clvkit, "pymc-marketing": pymc_marketing}


def say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(package: str, folder: Path) -> None:
    warnings.simplefilter("ignore")
    for path in sorted(folder.glob("*.csv")):
        if "." in path.stem:
            continue
        table = pd.read_csv(path)
        horizon = int(path.stem.rsplit("_", 1)[1])
        for name, fit in PACKAGES[package](table, horizon):
            began = time.perf_counter()
            try:
                silent, gone = fit()
            except Exception as problem:  # noqa: BLE001 - a package that fails on a log is a result as well
                say(log=path.stem, model=name, failed=f"{type(problem).__name__}: {problem}"[:200])
                continue
            out = folder / f"{path.stem}.{package}.{name.replace('/', '-').replace(' ', '_')}.csv"
            pd.DataFrame({"p_silent": silent, "p_gone": gone}).to_csv(out, index=False)
            say(log=path.stem, model=name, seconds=round(time.perf_counter() - began, 1))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
