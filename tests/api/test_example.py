"""The example of docs/api.md, run as it stands there against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from accounts.models import ApiToken, Order
from tests.factories import ScoreFactory, make_cast

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def test_the_example_works(committed_db: None, live_server: Any) -> None:
    cast = make_cast()
    ScoreFactory(account=cast.account)
    _, secret = ApiToken.objects.issue(cast.administrator, "example")
    program = re.findall(r"```python\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)[0]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"MAINSTAY_URL": live_server.url, "MAINSTAY_TOKEN": secret},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["O-1 created ", "O-2 created "]
    assert lines[2].startswith("O-3 rejected ")
    assert lines[3:5] == ["A-1 249.90", "A-2 80.00"]
    assert lines[5].startswith(f"{cast.account.external_id} 0.")
    assert Order.objects.filter(record_source="shop").count() == 2
