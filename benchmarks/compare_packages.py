"""lifetimes, pymc-marketing and clvkit on the same rows as our own score: one table.

    .venv/bin/python benchmarks/compare_packages.py LOG.csv.gz:HORIZON... [--folder FOLDER] [--packages lifetimes clvkit]
        [--minutes 15] [--ours FIGURES.json...]

Each package is installed from PyPI into an environment of its own inside FOLDER (kept when given; nothing of it is
shipped; what FOLDER holds already is not done again). Holdouts as in accuracy.py: T = day after the last order - cut *
horizon, cuts 1 and 2; every customer with a purchase before T is judged on buying nothing in [T, T + horizon). A model
that fails, or takes longer than `--minutes`, is listed with the reason. `--ours` takes the files accuracy.py --json wrote.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from retention.scoring.metrics import figures

WORKER = Path(__file__).with_name("package_worker.py")
INSTALLS = {
    "lifetimes": ["lifetimes==0.11.3"],
    "clvkit": ["clvkit"],
    "pymc-marketing": ["pymc-marketing"],
}
MODELS = {
    "lifetimes": ["BG/NBD", "MBG/NBD", "Pareto/NBD"],
    "clvkit": ["BG/NBD", "MBG/NBD"],
    "pymc-marketing": ["BG/NBD MAP", "MBG/NBD MAP", "Pareto/NBD MAP"],
}


def install(package: str, folder: Path) -> Path | None:
    """Python of an environment with the package; None (and the reason on standard error) where it cannot be had."""
    home = folder / f"env-{package}"
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *INSTALLS[package]],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.stderr.write(f"{package} cannot be installed: {done.stderr.strip()[-500:]}\n")
            return None
    return python


def holdout(log: pd.DataFrame, horizon: int, cut: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers before T with repeat purchases, age at the last one and age at T in days; and who did not return."""
    bought = log.loc[log["amount"] > 0, ["customer_id", "day"]].drop_duplicates()
    start = log["day"].max() + pd.Timedelta(days=1 - cut * horizon)
    past = bought[bought["day"] < start].groupby("customer_id")["day"].agg(["min", "max", "size"])
    later = bought[(bought["day"] >= start) & (bought["day"] < start + pd.Timedelta(days=horizon))]
    table = pd.DataFrame(
        {
            "id": np.arange(len(past)),
            "frequency": past["size"].to_numpy() - 1,
            "recency": (past["max"] - past["min"]).dt.days.to_numpy(),
            "T": (start - pd.Timedelta(days=1) - past["min"]).dt.days.to_numpy(),
        }
    )
    return table, ~past.index.isin(later["customer_id"].unique())


def read_log(path: Path) -> pd.DataFrame:
    log = pd.read_csv(path, dtype={"customer_id": str, "order_id": str}, parse_dates=["ordered_at"])
    return log.assign(day=log["ordered_at"].dt.normalize())


@dataclass(frozen=True)
class Holdout:
    """Customers before T in a file, and who of them did not return."""

    name: str
    horizon: int
    customers: Path
    churned: np.ndarray


def prepared(given: str, cut: int, folder: Path) -> Holdout:
    path, horizon = given.rsplit(":", 1)
    table, churned = holdout(read_log(Path(path)), int(horizon), cut)
    name = f"{Path(path).name.split('.')[0]}@{cut}_{horizon}"
    table.to_csv(folder / f"{name}.csv", index=False)
    return Holdout(name, int(horizon), folder / f"{name}.csv", churned)


def asked(python: Path, package: str, model: str, of: Holdout, minutes: float) -> str:
    """Seconds it took, or in brackets why there is no answer; remembered beside the answer."""
    answer = of.customers.with_suffix(f".{package}.{model.replace('/', '-').replace(' ', '_')}.csv")
    note = answer.with_suffix(".txt")
    if not note.exists():
        command = [str(python), str(WORKER), package, model, str(of.customers), str(of.horizon), str(answer)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60 * minutes)
            said = (
                done.stdout.strip()
                if done.returncode == 0
                else f"({done.stderr.strip().splitlines()[-1][:120]})"
            )
        except subprocess.TimeoutExpired:
            said = f"(stopped after {minutes:g} minutes)"
        note.write_text(said)
        sys.stderr.write(f"{of.name} {package} {model}: {said}\n")
    return note.read_text()


def lines_of(python: Path | None, package: str, of: Holdout, minutes: float) -> list[str]:
    if python is None:
        return [f"| {of.name} | {package} | | | | (cannot be installed) |"]
    found = []
    for model in MODELS[package]:
        said = asked(python, package, model, of, minutes)
        answer = of.customers.with_suffix(f".{package}.{model.replace('/', '-').replace(' ', '_')}.csv")
        if said.startswith("("):
            found.append(f"| {of.name} | {package} {model} | | | | {said} |")
            continue
        told = pd.read_csv(answer).fillna(of.churned.mean()).clip(1e-4, 1 - 1e-4)
        for column, which in (("p_silent", ""), ("p_gone", ", 1 - P(alive)")):
            figure = figures(of.churned, told[column].to_numpy())
            found.append(
                f"| {of.name} | {package} {model}{which} | {figure.auc:.4f} | {figure.log_loss:.4f} | {figure.ece:.3f} | {said} |"
            )
    return found


def ours_on(of: Holdout, paths: list[Path]) -> list[str]:
    told = [json.loads(path.read_text()) for path in paths]
    return [
        f"| {of.name} | **Mainstay** | {said['auc']:.4f} | {said['log_loss']:.4f} | {said['ece']:.3f} |"
        f" {said['seconds'].get('score', '')} |"
        for said in told
        if f"{said['log'].split('.')[0]}@{said['cut']:g}_{said['horizon']}" == of.name
    ]


def run(opt: argparse.Namespace, folder: Path) -> list[str]:
    holdouts = [prepared(given, cut, folder) for given in opt.logs for cut in (1, 2)]
    pythons = {package: install(package, folder) for package in opt.packages}
    found = {of.name: ours_on(of, opt.ours) for of in holdouts}
    for package, python in pythons.items():  # the quick packages first, on all logs
        for of in holdouts:
            found[of.name] += lines_of(python, package, of, opt.minutes)
    header = ["| holdout | model | AUC | log loss | ECE | seconds |", "|---|---|---|---|---|---|"]
    return header + [line for of in holdouts for line in found[of.name]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("logs", nargs="+", metavar="LOG:HORIZON")
    parser.add_argument("--folder", type=Path, help="kept afterwards; default: a temporary one")
    parser.add_argument("--packages", nargs="+", choices=list(INSTALLS), default=list(INSTALLS))
    parser.add_argument("--minutes", type=float, default=15, help="the longest one model may take on one log")
    parser.add_argument("--ours", nargs="*", type=Path, default=[])
    opt = parser.parse_args()
    if opt.folder:
        opt.folder.mkdir(parents=True, exist_ok=True)
        rows = run(opt, opt.folder)
    else:
        with tempfile.TemporaryDirectory(prefix="packages-") as folder:
            rows = run(opt, Path(folder))
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
