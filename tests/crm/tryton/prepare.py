"""Tryton in an environment of its own, and a database with a company in it: `python -m tests.crm.tryton.prepare`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from tests.crm.servers.environments import prepare, run

HERE = Path(__file__).parent
SOURCES = (HERE / "requirements.txt", HERE / "world.py")
DATABASE = "tryton"
OUR_KEY = "key-of-mainstay-7f3a"
PERSONS_KEY = "key-of-a-person-91bc"


def write_settings(folder: Path, port: int = 8000) -> Path:
    """Settings of a Tryton whose SQLite files are in `folder`."""
    settings = folder / "trytond.conf"
    settings.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{port}\n")
    return settings


def make_database(folder: Path) -> None:
    settings = str(write_settings(folder))
    bin_ = folder / "venv/bin"
    (folder / f"{DATABASE}.sqlite").touch()
    password = folder / "password"
    password.write_text(secrets.token_urlsafe(24))
    run(
        [str(bin_ / "trytond-admin"), "-c", settings, "-d", DATABASE, "--all", "--email", "admin@example.com",
         "-u", "sale", "--activate-dependencies"],
        TRYTONPASSFILE=str(password),
    )  # fmt: skip
    run([str(bin_ / "python"), str(HERE / "world.py"), settings, DATABASE, OUR_KEY, PERSONS_KEY])


if __name__ == "__main__":
    prepare("tryton", sys.executable, SOURCES, make_database)
