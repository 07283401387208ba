"""The way of a file through the pages, and of a stranger away from them."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.ingest.load import RUN_LOCK, start_import
from accounts.models import Account, ImportRun, Order, Role, User
from accounts.models.imports import ImportState
from accounts.services import imports
from accounts.tasks import resume_imports
from tests.conftest import WorkerProcess, wait_until
from tests.factories import UserFactory

ORDERS = "Kunde,Datum,Betrag,Farbe\nA,31.01.2024,10\nA,31.01.2024,10,rot\nB,30.02.2024,5,rot\n=B,01.02.2024,7,rot\n"


@pytest.fixture
def manager(db: None) -> User:
    return UserFactory(role=Role.MANAGER)


@pytest.fixture
def client(manager: User) -> Client:
    client = Client()
    client.force_login(manager)
    return client


def upload(client: Client, body: str = ORDERS, name: str = "orders.csv") -> ImportRun:
    answer = client.post("/imports/new/", {"file": SimpleUploadedFile(name, body.encode())})
    assert answer.status_code == 302, answer.content.decode()
    return ImportRun.objects.latest("pk")


def choose(client: Client, run: ImportRun, **more: str) -> int:
    data = {
        "kind": "orders",
        "source": "file",
        "column_0": "account",
        "column_1": "ordered_at",
        "column_2": "amount",
        "create_accounts": "on",
    }
    return client.post(f"/imports/{run.pk}/columns/", data | more).status_code


def test_a_file_from_upload_to_undo(client: Client) -> None:
    run = upload(client)
    page = client.get(f"/imports/{run.pk}/").content.decode()
    assert '<option value="account" selected>Account *</option>' in page
    assert '<option value="ordered_at" selected>Ordered at *</option>' in page

    assert choose(client, run) == 302
    assert "Waiting for a worker" in client.get(f"/imports/{run.pk}/").content.decode()
    imports.run_queued_import(run.pk)
    page = client.get(f"/imports/{run.pk}/").content.decode()
    assert "Import 2\N{NO-BREAK SPACE}rows" in page
    assert "is a date that does not exist" in page
    assert not Order.objects.exists()

    assert client.post(f"/imports/{run.pk}/start/").status_code == 302
    imports.run_queued_import(run.pk)
    page = client.get(f"/imports/{run.pk}/").content.decode()
    assert "Undo the whole import" in page
    assert Order.objects.count() == 2

    client.post(f"/imports/{run.pk}/undo/")
    assert not Order.objects.exists()
    assert not Account.objects.exists()
    assert "Undone" in client.get("/imports/").content.decode()


def test_refused_rows_are_mended_and_come_in(client: Client) -> None:
    run = upload(client)
    choose(client, run)
    imports.run_queued_import(run.pk)
    client.post(f"/imports/{run.pk}/start/")
    imports.run_queued_import(run.pk)

    answer = client.get(f"/imports/{run.pk}/refused.csv")
    body = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert body.splitlines() == [
        "refused_line,refused_column,refused_because,Kunde,Datum,Betrag,Farbe",
        "2,,has 3 cells where the header has 4,A,31.01.2024,10",
        "4,Datum,is a date that does not exist,B,30.02.2024,5,rot",
    ]
    assert 'filename="orders-refused.csv"' in answer["Content-Disposition"]

    mended = upload(client, body.replace("30.02", "29.02").replace(",10\r\n", ",10,\r\n"))
    page = client.get(f"/imports/{mended.pk}/").content.decode()
    assert page.count("selected>Leave out") == 4
    choose(
        client,
        mended,
        column_0="",
        column_1="",
        column_2="",
        column_3="account",
        column_4="ordered_at",
        column_5="amount",
    )
    imports.run_queued_import(mended.pk)
    client.post(f"/imports/{mended.pk}/start/")
    imports.run_queued_import(mended.pk)
    assert Order.objects.count() == 3  # the order mended in line 2 is the one of line 3 once more


def test_no_formula_leaves_the_house(client: Client) -> None:
    run = upload(client, "customer,date,amount\n=cmd(),2024-02-30,1\n@x,2024-02-30,-5\n")
    choose(client, run)
    imports.run_queued_import(run.pk)

    answer = client.get(f"/imports/{run.pk}/refused.csv")
    cells = b"".join(answer.streaming_content).decode("utf-8-sig").replace("\r\n", ",").split(",")  # type: ignore[attr-defined]
    assert not [cell for cell in cells if cell[:1] in "=+-@" and cell]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"column_2": ""}, "has no column for amount"),
        ({"column_3": "amount"}, "Already filled by"),
        ({"source": ""}, "This field is required"),
    ],
)
def test_a_choice_that_cannot_work_is_told_at_once(
    client: Client, change: dict[str, str], sentence: str
) -> None:
    run = upload(client)
    data = {
        "kind": "orders",
        "source": "file",
        "column_0": "account",
        "column_1": "ordered_at",
        "column_2": "amount",
    }

    answer = client.post(f"/imports/{run.pk}/columns/", data | change)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    run.refresh_from_db()
    assert run.state == ImportState.UPLOADED


def test_an_ambiguous_file_asks_and_goes_on_when_told(client: Client) -> None:
    run = upload(client, "customer,date,amount\nA,03/04/2024,1\n")
    choose(client, run)
    imports.run_queued_import(run.pk)

    page = client.get(f"/imports/{run.pk}/").content.decode()
    assert "can be read in two ways" in page
    assert "Change the columns" in page
    choose(client, run, dates="day-first")
    imports.run_queued_import(run.pk)
    run.refresh_from_db()
    assert (run.state, run.rows_created) == (ImportState.PREVIEWED, 1)


def test_other_columns_are_offered_for_another_kind(client: Client) -> None:
    run = upload(client, "id,name,segment\n1,Alpha,Retail\n")

    assert '<option value="accounts" selected>' in client.get(f"/imports/{run.pk}/").content.decode()
    assert "sku" in client.get(f"/imports/{run.pk}/?kind=products").content.decode().lower()


@pytest.mark.parametrize(
    ("name", "body", "sentence"),
    [
        ("x.csv", b"", "This file is empty"),
        ("x.pdf", b"%PDF-1.7 ...", "x.pdf is a PDF; save the table as CSV or .xlsx"),
        ("../../etc/passwd.csv", b"\0\0\0", "passwd.csv is empty"),
        ("x.zip", b"PK\x03\x04 nothing", "damaged"),
    ],
)
def test_what_is_no_table_is_refused_at_the_field(
    client: Client, name: str, body: bytes, sentence: str
) -> None:
    answer = client.post("/imports/new/", {"file": SimpleUploadedFile(name, body)})

    assert answer.status_code == 422
    assert sentence in answer.content.decode()


def test_files_too_large_are_refused_and_leave_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MAX_IMPORT_BYTES", 100)
    before = stored()

    answer = client.post("/imports/new/", {"file": SimpleUploadedFile("x.csv", b"a,b\n" * 1000)})

    assert "The file is larger than" in answer.content.decode()
    assert stored() == before


def stored() -> set[Path]:
    return set((settings.DATA_DIR / "uploads").glob("*"))


def test_files_lie_under_names_of_our_own_and_only_we_read_them(client: Client) -> None:
    run = upload(client, name="..\\<b>x</b>.csv")
    path = imports.stored_path(run)

    assert run.file_name == "b>.csv"
    assert path.parent == settings.DATA_DIR / "uploads"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "<b>" not in client.get(f"/imports/{run.pk}/").content.decode()


def test_old_files_are_thrown_away(client: Client) -> None:
    run = upload(client)
    path = imports.stored_path(run)
    young = upload(client)
    long_ago = timezone.now() - imports.KEPT_FOR - dt.timedelta(days=1)
    ImportRun.objects.filter(pk=run.pk).update(created_at=long_ago)
    os.utime(path, (long_ago.timestamp(), long_ago.timestamp()))

    imports.discard_old_uploads()

    assert not path.exists()
    assert imports.stored_path(young).exists()
    assert "no longer kept" in client.get(f"/imports/{run.pk}/", follow=True).content.decode()


@pytest.mark.parametrize("role", [Role.SALES_REP, Role.ACCOUNT_MANAGER, Role.MARKETING])
def test_others_find_nothing_here(db: None, client: Client, role: Role) -> None:
    run = upload(client)
    stranger = Client()
    stranger.force_login(UserFactory(role=role))

    for path in ("", "new/", f"{run.pk}/", f"{run.pk}/refused.csv"):
        assert stranger.get(f"/imports/{path}").status_code == 404
    for path in ("columns/", "start/", "cancel/", "undo/"):
        assert stranger.post(f"/imports/{run.pk}/{path}").status_code == 404


def test_pressing_twice_starts_once(client: Client) -> None:
    run = upload(client)
    choose(client, run)
    imports.run_queued_import(run.pk)

    assert imports.queue_import(run.pk, is_dry_run=False)
    assert not imports.queue_import(run.pk, is_dry_run=False)
    imports.run_queued_import(run.pk)
    done = imports.run_queued_import(run.pk)
    assert (done.state, done.rows_created, Order.objects.count()) == (ImportState.DONE, 2, 2)


def test_a_cancelled_run_keeps_nothing(client: Client) -> None:
    run = upload(client)
    choose(client, run)

    client.post(f"/imports/{run.pk}/cancel/")
    imports.run_queued_import(run.pk)

    run.refresh_from_db()
    assert (run.state, run.rows_read) == (ImportState.CANCELLED, 0)


def test_the_list_takes_the_same_queries_however_long(
    client: Client, django_assert_max_num_queries: object
) -> None:
    from django.test.utils import CaptureQueriesContext

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            client.get("/imports/")
        return len(seen)

    start_import("orders", file_name="0.csv")
    queries()
    few = queries()
    for number in range(40):
        start_import("orders", file_name=f"{number}.csv")
    assert queries() == few
    page = client.get("/imports/").content.decode()
    assert page.count("data-row") == 25
    assert "Older" in page


@pytest.mark.django_db
def test_forgotten_runs_are_found_and_interrupted_commands_marked(client: Client) -> None:
    waiting = upload(client)
    choose(client, waiting)
    command = start_import("orders", file_name="x.csv")
    ImportRun.objects.filter(pk__in=[waiting.pk, command.pk]).update(
        updated_at=timezone.now() - dt.timedelta(minutes=5)
    )

    assert imports.find_forgotten_imports() == [waiting.pk]

    command.refresh_from_db()
    assert (command.state, command.message) == (
        ImportState.FAILED,
        "Interrupted; nothing was imported. Start it again.",
    )


def test_a_file_that_kills_its_worker_is_not_tried_for_ever(client: Client) -> None:
    run = upload(client)
    choose(client, run)
    run.refresh_from_db()
    ImportRun.objects.filter(pk=run.pk).update(
        options=run.options | {"attempts": 3}, state=ImportState.RUNNING
    )

    done = imports.run_queued_import(run.pk)

    assert (done.state, done.message[:20]) == (ImportState.FAILED, "Interrupted 3 times;")


def test_a_run_somebody_works_on_is_not_forgotten(committed_db: None) -> None:
    run = start_import("orders", file_name="x.csv")
    ImportRun.objects.filter(pk=run.pk).update(updated_at=timezone.now() - dt.timedelta(minutes=5))
    other = connection.copy()
    with transaction.atomic(), other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [RUN_LOCK, run.pk])
        assert imports.find_forgotten_imports() == []
    other.close()


def test_a_real_worker_previews_imports_and_reports(celery_worker: WorkerProcess) -> None:
    client = Client()
    client.force_login(UserFactory(role=Role.ADMINISTRATOR))
    run = upload(client)

    choose(client, run)
    wait_until(lambda: state(run) == ImportState.PREVIEWED, 60)
    client.post(f"/imports/{run.pk}/start/")
    wait_until(lambda: state(run) == ImportState.DONE, 60)

    assert Order.objects.count() == 2
    answer = client.get(f"/imports/{run.pk}/", headers={"HX-Request": "true", "HX-Target": "live"})
    assert answer["HX-Refresh"] == "true"


def test_a_worker_killed_in_the_middle_leaves_nothing_and_the_run_is_done_once(
    celery_worker: WorkerProcess,
) -> None:
    client = Client()
    client.force_login(UserFactory(role=Role.ADMINISTRATOR))
    lines = "".join(f"C{i % 5000},2024-01-{i % 28 + 1:02d},{i}.50\n" for i in range(200_000))
    run = upload(client, "customer,date,amount\n" + lines)
    ImportRun.objects.filter(pk=run.pk).update(kind="orders", options={"create_accounts": True})
    imports.queue_import(run.pk, is_dry_run=False)
    from accounts.tasks import run_import

    run_import.delay(run.pk)
    wait_until(lambda: ImportRun.objects.get(pk=run.pk).rows_read > 0, 60)

    celery_worker.kill()

    assert not Order.objects.exists()
    assert state(run) == ImportState.RUNNING
    ImportRun.objects.filter(pk=run.pk).update(updated_at=timezone.now() - dt.timedelta(minutes=5))
    wait_until(lambda: imports.find_forgotten_imports() == [run.pk], 60)
    celery_worker.start()
    resume_imports()
    wait_until(lambda: state(run) == ImportState.DONE, 120)
    assert Order.objects.count() == 200_000
    assert Account.objects.count() == 5_000


def state(run: ImportRun) -> str:
    return ImportRun.objects.values_list("state", flat=True).get(pk=run.pk)
