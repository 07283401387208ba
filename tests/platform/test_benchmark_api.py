import json
from pathlib import Path

from tests.platform.processes import manage, processes_of


def test_the_api_is_measured_against_the_floor(tmp_path: Path) -> None:
    data_dir, report = tmp_path / "data", tmp_path / "api.json"
    sizes = [
        "--accounts",
        "300",
        "--orders",
        "3000",
        "--requests",
        "3",
        "--seconds",
        "1",
        "--rows",
        "50",
        "--calls",
        "2",
    ]
    done = manage(data_dir, "benchmark", "api", *sizes, "--json", str(report))
    assert done.returncode == 0, done.stderr
    figures = json.loads(report.read_text())
    assert figures["accounts.p50_floors"] > 0
    assert figures["eight_clients.requests_per_second"] > 0
    assert figures["bulk.accounts_per_second"] > 0
    assert processes_of(data_dir) == []
