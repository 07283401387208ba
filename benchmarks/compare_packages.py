"""lifetimes, pymc-marketing and clvkit on the same rows as our own score: one table.

    .venv/bin/python benchmarks/compare_packages.py LOG.csv.gz:HORIZON... [--folder FOLDER] [--packages lifetimes clvkit]
        [--ours FIGURES.json...]

Each package is installed from PyPI into an environment of its own inside FOLDER (kept when given; nothing of it is
shipped). Holdouts as in accuracy.py: T = day after the last order - cut * horizon, cuts 1 and 2; every customer with a
purchase before T is judged on buying nothing in [T, T + horizon). `--ours` takes the files accuracy.py --json wrote.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from retention.scoring.metrics import Figures, figures

WORKER = Path(__file__).with_name("package_worker.py")
INSTALLS = {
    "lifetimes": ["lifetimes==0.11.3"],
    "clvkit": ["clvkit"],
    "pymc-marketing": ["pymc-marketing"],
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


def line(name: str, model: str, said: Figures, seconds: object = "") -> str:
    return f"| {name} | {model} | {said.auc:.4f} | {said.log_loss:.4f} | {said.ece:.3f} | {seconds} |"


def lines_of(
    folder: Path, name: str, churned: np.ndarray, seconds: dict[tuple[str, str], object]
) -> list[str]:
    found = []
    for path in sorted(folder.glob(f"{name}.*.csv")):
        _, package, model = path.stem.split(".", 2)
        told = pd.read_csv(path).fillna(churned.mean()).clip(1e-4, 1 - 1e-4)
        said, gone = (figures(churned, told[column].to_numpy()) for column in ("p_silent", "p_gone"))
        spent = seconds.get((name, path.stem), "")
        found.append(line(name, f"{package} {model}", said, spent))
        found.append(line(name, f"{package} {model}, 1 - P(alive)", gone))
    return found


def run(opt: argparse.Namespace, folder: Path) -> list[str]:
    truth: dict[str, np.ndarray] = {}
    for given in opt.logs:
        path, horizon = given.rsplit(":", 1)
        log = read_log(Path(path))
        for cut in (1, 2):
            table, churned = holdout(log, int(horizon), cut)
            name = f"{Path(path).name.split('.')[0]}@{cut}_{horizon}"
            table.to_csv(folder / f"{name}.csv", index=False)
            truth[name] = churned
    seconds: dict[tuple[str, str], object] = {}
    for package in opt.packages:
        python = install(package, folder)
        if python is None:
            continue
        done = subprocess.run(
            [str(python), str(WORKER), package, str(folder)], capture_output=True, text=True
        )
        sys.stderr.write(f"{package}: {done.stdout}{done.stderr[-2000:]}\n")
        for said in (json.loads(row) for row in done.stdout.splitlines() if row.startswith("{")):
            file = f"{said['log']}.{package}.{said['model'].replace('/', '-').replace(' ', '_')}"
            seconds[said["log"], file] = said.get("seconds", "")
    rows = ["| holdout | model | AUC | log loss | ECE | seconds |", "|---|---|---|---|---|---|"]
    ours = [json.loads(path.read_text()) for path in opt.ours]
    for name, churned in truth.items():
        for said in ours:
            if f"{said['log'].split('.')[0]}@{said['cut']:g}_{said['horizon']}" == name:
                rows.append(
                    f"| {name} | **Mainstay** | {said['auc']:.4f} | {said['log_loss']:.4f} | {said['ece']:.3f} |"
                    f" {said['seconds'].get('score', '')} |"
                )
        rows += lines_of(folder, name, churned, seconds)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("logs", nargs="+", metavar="LOG:HORIZON")
    parser.add_argument("--folder", type=Path, help="kept afterwards; default: a temporary one")
    parser.add_argument("--packages", nargs="+", choices=list(INSTALLS), default=list(INSTALLS))
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
