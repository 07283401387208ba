"""Walking through pages in a real browser and noting what is wrong with them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.urls import reverse
from playwright.sync_api import Page

from tests.test_permissions import TABLE, Row

# Answers that are no pages: files, parts of a page, and words for monitors.
NO_PAGES = {
    "retention:at_risk_export",
    "retention:accounts_export",
    "retention:kpis_export",
    "retention:kpi_export",
    "accounts:export_records",
    "pulsecheck:export_care",
    "accounts:import_rejected",
    "retention:suggest",
    "retention:run_progress",
    # Its page is walked with a link that works, in test_survey.py.
    "pulsecheck:answer_survey",
    "retention:healthz",
    "retention:proof_page",  # below, signed out
    "pulsecheck:promised",  # likewise
    "retention:readyz",
    "pulsecheck:feed",
}
PAGES = {
    name: row
    for name, row in TABLE.items()
    if not row.is_api and "administrator" in row.get and name not in NO_PAGES
}
VIEWS = [(1280, False), (390, True)]
# What a template or a script says when it has nothing to say.
RAW = re.compile(r"^None$|: None$|\{\{|\{%|undefined|\bNaN\b|<[A-Z]\w+: ")
Open = Callable[..., Page]
Axe = Callable[[Page], list[str]]


def address_of(name: str, row: Row, records: dict[str, int]) -> str:
    if row.record.startswith("?"):
        field = row.record.removeprefix("?")
        return f"{reverse(name)}?{field}={records[field]}"
    arguments: dict[str, Any] = dict(row.arguments) | ({"pk": records[row.record]} if row.record else {})
    return reverse(name, kwargs=arguments)


def faults_of(page: Page, address: str, axe: Axe) -> list[str]:
    answer = page.goto(address)
    faults = [] if answer and answer.status == 200 else [f"answered {answer and answer.status}"]
    root = "document.documentElement"
    if page.evaluate(f"{root}.scrollWidth > {root}.clientWidth"):
        faults.append("scrolls sideways")
    lines = [line.strip() for line in page.locator("body").inner_text().splitlines()]
    faults += [f"says {line}" for line in lines if RAW.search(line)]
    return faults + axe(page)


def look(page: Page, names: dict[str, str], axe: Axe, tag: str) -> list[str]:
    found = []
    for name, address in names.items():
        found += [f"{tag} {address}: {fault}" for fault in faults_of(page, address, axe)]
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{tag}-{name.replace(':', '-')}.png", full_page=True)
    return found
