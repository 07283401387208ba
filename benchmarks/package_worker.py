"""What other packages say, run by the Python of an environment that has the package.

    python package_worker.py PACKAGE MODEL CUSTOMERS.csv HORIZON ANSWER.csv

CUSTOMERS.csv has one customer a line (id, frequency, recency, T in days). ANSWER.csv has for each, in the same order, p_silent
(no purchase within HORIZON days) and p_gone (1 - P(alive), the churn risk of the packages' tutorials). Seconds are
printed. A package that fails on a log is a result as well: the reason goes to standard error, the exit code is 1.
"""

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

# Four parameters are fitted: more customers than these change little. The slow packages get fewer.
FIT_CUSTOMERS = {"lifetimes": 20_000, "clvkit": 2_000, "pymc-marketing": 2_000}
Answer = tuple[np.ndarray, np.ndarray]
Models = dict[str, Callable[[], Answer]]


def p0(p_alive: np.ndarray, table: pd.DataFrame, r: float, alpha: float, horizon: int) -> np.ndarray:
    """No purchase within the horizon, for BG/NBD and MBG/NBD alike: stopped, or merely slow."""
    silent = ((alpha + table["T"]) / (alpha + table["T"] + horizon)) ** (r + table["frequency"])
    return np.asarray(1 - p_alive + p_alive * silent)


def sample(table: pd.DataFrame, package: str) -> pd.DataFrame:
    most = FIT_CUSTOMERS[package]
    return table if len(table) <= most else table.sample(most, random_state=0)


def lifetimes(table: pd.DataFrame, horizon: int) -> Models:
    from lifetimes import BetaGeoFitter, ModifiedBetaGeoFitter, ParetoNBDFitter

    columns = [table["frequency"], table["recency"], table["T"]]
    part = sample(table, "lifetimes")
    fit_on = [part["frequency"], part["recency"], part["T"]]

    def geometric(fitter: type) -> Answer:
        model = fitter(penalizer_coef=0.001).fit(*fit_on)
        alive = np.asarray(model.conditional_probability_alive(*columns))
        return p0(alive, table, model.params_["r"], model.params_["alpha"], horizon), 1 - alive

    def pareto() -> Answer:
        model = ParetoNBDFitter(penalizer_coef=0.001).fit(*fit_on)
        silent = model.conditional_probability_of_n_purchases_up_to_time(0, horizon, *columns)
        return np.asarray(silent), 1 - np.asarray(model.conditional_probability_alive(*columns))

    return {
        "BG/NBD": lambda: geometric(BetaGeoFitter),
        "MBG/NBD": lambda: geometric(ModifiedBetaGeoFitter),
        "Pareto/NBD": pareto,
    }


def clvkit(table: pd.DataFrame, horizon: int) -> Models:
    from clvkit import BGNBD, MBGNBD, CustomerBase

    def base(rows: pd.DataFrame) -> CustomerBase:
        end = pd.Timestamp("2000-01-01")
        return CustomerBase(
            rows[["frequency", "recency", "T"]], time_unit="D", observation_period_end=end, has_monetary=False,
            on_negative="net",
        )  # fmt: skip

    def fitted(kind: type) -> Answer:
        model = kind().fit(base(sample(table, "clvkit")))
        alive = model.probability_alive(base(table)).to_pandas()
        alive = alive.iloc[:, -1] if isinstance(alive, pd.DataFrame) else alive
        alive = alive.to_numpy(dtype=float)
        return p0(alive, table, model.params_["r"], model.params_["alpha"], horizon), 1 - alive

    return {"BG/NBD": lambda: fitted(BGNBD), "MBG/NBD": lambda: fitted(MBGNBD)}


def pymc_marketing(table: pd.DataFrame, horizon: int) -> Models:
    from pymc_marketing.clv import BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel

    rows = table.rename(columns={"id": "customer_id"})

    def mean(values: object) -> np.ndarray:
        return np.asarray(values.mean(("chain", "draw"))).ravel()  # type: ignore[attr-defined]

    def fitted(kind: type) -> Answer:
        model = kind(data=sample(rows, "pymc-marketing"))
        model.fit(method="map", progressbar=False)
        alive = mean(model.expected_probability_alive(rows))
        found = model.fit_result
        r, alpha = float(found["r"].mean()), float(found["alpha"].mean())
        if kind is ParetoNBDModel:
            silent = mean(model.expected_purchase_probability(rows, n_purchases=0, future_t=horizon))
            return silent, 1 - alive
        return p0(alive, table, r, alpha, horizon), 1 - alive

    return {
        "BG/NBD MAP": lambda: fitted(BetaGeoModel),
        "MBG/NBD MAP": lambda: fitted(ModifiedBetaGeoModel),
        "Pareto/NBD MAP": lambda: fitted(ParetoNBDModel),
    }


PACKAGES = {"lifetimes": lifetimes, "clvkit": clvkit, "pymc-marketing": pymc_marketing}


def main(package: str, model: str, customers: str, horizon: str, answer: str) -> int:
    warnings.simplefilter("ignore")
    fit = PACKAGES[package](pd.read_csv(customers), int(horizon))[model]
    began = time.perf_counter()
    try:
        silent, gone = fit()
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is what the package does on this log
        sys.stderr.write(f"{type(problem).__name__}: {problem}\n")
        return 1
    pd.DataFrame({"p_silent": silent, "p_gone": gone}).to_csv(answer, index=False)
    sys.stdout.write(f"{time.perf_counter() - began:.1f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
