"""The status page: what it shows, who sees it, and a run on demand."""

import pytest

from retention.models import ScoreChunk, ScoreRun
from retention.models.scores import ChunkState, RunState
from tests.factories import AdministratorFactory, ManagerFactory, OrderFactory, ScoreRunFactory, days_ago

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    user = AdministratorFactory()
    client.force_login(user)
    return user


def test_score_now_leaves_a_run_for_the_workers_however_often_it_is_clicked(client, admin):
    OrderFactory(ordered_at=days_ago(3))
    for _ in range(2):
        assert client.post("/status/score/").status_code == 302
    run = ScoreRun.objects.get()
    assert (run.state, run.started_by, run.started_at) == (RunState.PREPARING, admin, None)
    assert "Waiting for a worker" in client.get("/status/").content.decode()


def test_without_orders_the_page_says_what_to_do(client, admin):
    page = client.post("/status/score/", follow=True)
    assert "import an orders file first" in page.content.decode()
    assert not ScoreRun.objects.exists()


def test_progress_is_told_in_parts_until_the_page_is_shown_anew(client, admin):
    run = ScoreRunFactory(state=RunState.SCORING)
    for number, state in enumerate([ChunkState.DONE, ChunkState.WAITING]):
        ScoreChunk.objects.create(run=run, number=number, first_id=1, last_id=2, state=state, accounts=7)
    htmx = {"HX-Request": "true"}
    part = client.get("/status/run/", headers=htmx).content.decode()
    assert "1 of 2\xa0parts scored, 7\xa0accounts" in part
    assert "<html" not in part
    ScoreRun.objects.update(state=RunState.PUBLISHED)
    assert client.get("/status/run/", headers=htmx)["HX-Refresh"] == "true"
    assert client.get("/status/run/").status_code == 302


def test_status_is_for_administrators(client):
    client.force_login(ManagerFactory())
    assert client.get("/status/").status_code == 404
    assert client.post("/status/score/").status_code == 404
    assert client.get("/status/run/").status_code == 404
