"""What monitors and administrators are told."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from accounts.models import Role
from retention.celery import ring_everything
from retention.selectors.status import get_broker, get_status
from tests.conftest import WorkerProcess
from tests.factories import UserFactory

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_the_process_answers_a_stranger_without_asking_the_database(
    client: Client, db: None, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


def test_ready_names_both_servers(client: Client, db: None) -> None:
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"database": "ok", "broker": "ok"})


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_the_status_page_is_for_administrators_only(client: Client, db: None, role: Role) -> None:
    client.force_login(UserFactory(role=role))
    assert client.get("/status/").status_code == 404


def test_without_workers_the_status_page_says_so(client: Client, no_tasks: None) -> None:
    client.force_login(UserFactory(role=Role.ADMINISTRATOR))
    page = client.get("/status/").content.decode()
    assert "No worker answers" in page
    assert "The clock has not rung" in page
    assert "PostgreSQL" in page


def test_with_a_worker_and_a_clock_nothing_needs_anybody(celery_worker: WorkerProcess) -> None:
    ring_everything()
    status = get_status()
    assert len(status.broker.workers) == 1
    assert not status.broker.beat_is_late
    assert status.troubles == []


def test_tasks_nobody_takes_are_counted(no_tasks: None) -> None:
    ring_everything()
    lengths = {queue.name: queue.length for queue in get_broker().queues}
    assert lengths["default"] > 0


@pytest.mark.parametrize("dark", [False, True])
def test_the_status_page_is_accessible(
    page_for: Callable[..., "Page"], axe: Callable[["Page"], list[str]], no_tasks: None, dark: bool
) -> None:
    ring_everything()
    page = page_for(UserFactory(role=Role.ADMINISTRATOR), dark=dark)
    page.goto("/status/")
    assert page.get_by_role("heading", name="Status").is_visible()
    assert page.get_by_text("No worker answers").is_visible()
    assert axe(page) == []
