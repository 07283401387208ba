"""BottleCRM in an environment of its own, with an organisation in it: `python -m tests.crm.bottlecrm.prepare`.

It needs Python 3.12; Mainstay is content with 3.11. Where there is no newer one this says so, and so do the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.crm.servers.environments import prepare, run

HERE = Path(__file__).parent
SOURCES = (HERE / "requirements.txt", HERE / "world.py", HERE / "settings_for_tests.py")
DATABASE = "bottlecrm.sqlite"
OUR_TOKEN = "bcrm_pat_token-of-mainstay-55e1"
PERSONS_TOKEN = "bcrm_pat_token-of-a-person-07ac"
NARROW_TOKEN = "bcrm_pat_token-without-invoices-3d"
SALES_TOKEN = "bcrm_pat_token-without-tickets-9c"
WITHOUT = "BottleCRM was NOT tested: it needs Python 3.12 or newer, and none was found on this machine."


def find_interpreter() -> str | None:
    """A Python of 3.12 or newer: this one, one on the PATH, or one that pyenv keeps."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = ["python3.12", "python3.13", "python3.14", "python3"]
    # The variable may name the folder of somebody else, which is not ours to read.
    mine = sorted(kept.glob("3.1[2-9]*/bin/python3")) if os.access(kept, os.R_OK | os.X_OK) else []
    for name in [sys.executable, *names, *map(str, mine)]:
        if (found := shutil.which(name)) and _is_new_enough(found):
            return found
    return None


def _is_new_enough(interpreter: str) -> bool:
    asked = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))"
    done = subprocess.run([interpreter, "-c", asked], capture_output=True, check=False)
    return done.returncode == 0


def environment(database: Path) -> dict[str, str]:
    return {
        "BOTTLECRM_DATABASE": str(database),
        "DJANGO_SETTINGS_MODULE": "settings_for_tests",
        "PYTHONPATH": str(HERE),
    }


def make_database(folder: Path) -> None:
    bin_, around = folder / "venv/bin", environment(folder / DATABASE)
    run([str(bin_ / "django-admin"), "migrate", "--run-syncdb", "-v", "0"], folder, **around)
    run(
        [
            str(bin_ / "python"),
            str(HERE / "world.py"),
            OUR_TOKEN,
            PERSONS_TOKEN,
            NARROW_TOKEN,
            SALES_TOKEN,
        ],
        folder,
        **around,
    )


if __name__ == "__main__":
    interpreter = find_interpreter()
    if interpreter is None:
        print(WITHOUT, file=sys.stderr)
    else:
        prepare("bottlecrm", interpreter, SOURCES, make_database)
