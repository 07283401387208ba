"""One customer's way through the whole house: from a file of three columns to a figure on the KPI page.

A rep's customer that bought every week falls silent. The file is imported, the book is scored, the account goes back to
the rep, who accepts it and calls; the account manager logs a pulse; the customer orders again and the handback is
closed as saved. The save is then in the save rate, and the account among the ones behind it.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import Account, ImportRun, Order
from accounts.selectors import company_today
from notifications.models import Notification
from pulsecheck.models import Handback, PulseCheck
from retention.models import KpiValue, Score
from retention.services.kpis import record_kpis
from tests.factories import Cast, make_cast

SILENT = "C-silent"
SILENT_DAYS = 45
CUSTOMERS = 80


@pytest.fixture
def cast(committed_db: None) -> Cast:
    return make_cast()


def orders_file(path: Path, today: dt.date) -> Path:
    """80 customers who order every 7 to 18 days for two years; every fifth stopped along the way, the silent one lately."""
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["customer", "date", "amount"])
        for number in range(CUSTOMERS):
            name = SILENT if number == 0 else f"C-{number:03d}"
            gap = 7 if number == 0 else 7 + number % 12
            stopped = SILENT_DAYS if number == 0 else 90 + 7 * number if number % 5 == 0 else 1 + number % gap
            for step, days in enumerate(range(730 + number % 7, stopped - 1, -gap)):
                rows.writerow([name, today - dt.timedelta(days=days), f"{120 + 7 * (step % 5)}.50"])
    return path


def test_from_a_file_to_a_save(cast: Cast, tmp_path: Path) -> None:
    today = company_today()
    path = orders_file(tmp_path / "orders.csv", today)

    # A file of three columns makes accounts and orders; a second time it changes nothing.
    call_command("import_records", "orders", str(path), "--create-accounts")
    call_command("import_records", "orders", str(path), "--create-accounts")
    first, second = ImportRun.objects.order_by("pk")
    assert (first.accounts_created, first.rows_rejected) == (CUSTOMERS, 0)
    assert (second.rows_created, second.rows_changed, second.rows_unchanged) == (0, 0, first.rows_created)

    # Who won it and who looks after it comes with a second file.
    owners = tmp_path / "accounts.csv"
    owners.write_text(
        "external_id,name,original_salesperson,account_manager\n"
        + "".join(
            f"{account.external_id},{account.external_id},{cast.owner.email},{cast.teammate.email}\n"
            for account in Account.objects.exclude(pk=cast.account.pk)
        )
    )
    call_command("import_records", "accounts", str(owners))
    account = Account.objects.get(external_id=SILENT)

    # The night: scored, handed back to the one who won it, who is told.
    call_command("score")
    score = Score.objects.published().get(account=account)
    assert score.tier in {"at_risk", "quiet"}
    assert score.churn_probability > 0.5
    assert score.days_since_last_order >= SILENT_DAYS - 7
    assert any("silence" in reason["sentence"] or "order" in reason["sentence"] for reason in score.reasons)
    handback = Handback.objects.get(account=account)
    assert (handback.salesperson, handback.state) == (cast.owner, "open")
    assert Notification.objects.filter(user=cast.owner, topic="handback").exists()

    # The rep finds it, reads the briefing, accepts and calls.
    rep = Client()
    rep.force_login(cast.owner)
    assert SILENT in rep.get("/at-risk/").content.decode()
    assert SILENT in rep.get(f"/handbacks/{handback.pk}/").content.decode()
    assert rep.post(f"/handbacks/{handback.pk}/accept/").status_code == 302
    call = {"kind": "call", "has_reached": "on", "note": "They were closed for repairs."}
    assert rep.post(f"/handbacks/{handback.pk}/attempts/", call).status_code == 302
    handback.refresh_from_db()
    assert handback.state == "accepted"
    assert handback.attempts.get().note == "They were closed for repairs."

    # The account manager writes down how they feel, with a next step.
    carer = Client()
    carer.force_login(cast.teammate)
    pulse = {
        "score": 5, "note": "Glad that somebody asked.", "next_step": "Send the new list",
        "next_step_owner": cast.teammate.pk, "next_step_due_on": today + dt.timedelta(days=7),
    }  # fmt: skip
    answer = carer.post(f"/accounts/{account.pk}/pulse/", pulse)
    assert answer.status_code == 302, answer.content.decode()
    assert PulseCheck.objects.get(account=account).next_step == "Send the new list"

    # They order again; the rep closes the handback as saved.
    again = tmp_path / "again.csv"
    again.write_text(f"customer,date,amount\n{SILENT},{today},640.00\n")
    call_command("import_records", "orders", str(again))
    assert Order.objects.filter(account=account, amount=640).exists()
    closed = rep.post(f"/handbacks/{handback.pk}/close/", {"outcome": "saved", "note": "Ordering again."})
    assert closed.status_code == 302
    assert Notification.objects.filter(user=cast.teammate, topic="thanks").exists()

    # The manager reads it in the figures.
    record_kpis(today)
    saved = KpiValue.objects.get(name="save_rate", slice_kind="company", period_end=today)
    assert saved.denominator is not None
    coverage = KpiValue.objects.get(name="pulse_coverage", slice_kind="company", period_end=today)
    assert coverage.value is not None
    assert coverage.value > 0
    boss = Client()
    boss.force_login(cast.manager)
    assert boss.get("/kpis/").status_code == 200
    listed = boss.get("/kpis/pulse_coverage/accounts.csv")
    content = b"".join(listed.streaming_content) if listed.streaming else listed.content
    assert SILENT in io.StringIO(content.decode("utf-8-sig")).read()

    # Nobody of another team learned of any of it.
    stranger = Client()
    stranger.force_login(cast.stranger)
    assert stranger.get(f"/accounts/{account.pk}/").status_code == 404
    assert stranger.get(f"/handbacks/{handback.pk}/").status_code == 404
