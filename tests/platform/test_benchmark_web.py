import json
from pathlib import Path

from tests.platform.processes import manage, processes_of


def test_pages_are_measured_against_the_floor_on_two_books(tmp_path: Path) -> None:
    data_dir, report = tmp_path / "data", tmp_path / "web.json"
    pages = ("at_risk", "account", "today_of_one", "calendar", "owners_silent", "collective", "meeting")
    sizes = ["--small", "60", "--accounts", "400", "--orders", "4000", "--requests", "3", "--seconds", "1"]
    sizes += ["--pages", ",".join(pages)]
    done = manage(data_dir, "benchmark", "web", *sizes, "--json", str(report))
    assert done.returncode == 0, done.stderr
    figures = json.loads(report.read_text())
    for page in pages:
        assert figures[f"{page}.p50_floors"] > 0
        assert 0 < figures[f"{page}.kilobytes"] <= 300
        assert figures[f"{page}.queries"] == figures[f"{page}.queries_small"], page
    assert figures["floor.queries"] == 1
    for page in ("at_risk", "account", "calendar"):
        assert figures[f"{page}.eight_clients.requests_per_second"] > 0
    assert processes_of(data_dir) == []
