"""Planned contacts and absences, written by programs."""

import datetime as dt

import pytest

from accounts.models import Absence
from accounts.selectors import company_today
from pulsecheck.business_days import business_calendar
from tests.factories import HandbackFactory, TouchpointFactory

pytestmark = pytest.mark.django_db


def test_a_program_moves_a_contact_and_is_told_why_not(cast, api):
    touchpoint = TouchpointFactory(account=cast.account)
    client, path = api(cast.teammate), f"/api/v1/touchpoints/{touchpoint.pk}/move/"
    to = business_calendar("").after(company_today() + dt.timedelta(days=5), 3)

    moved = client.post(path, {"to": to.isoformat(), "reason": "They asked"}, content_type="application/json")

    assert (moved.status_code, moved.json()["due_on"], moved.json()["note"]) == (
        200,
        to.isoformat(),
        "They asked",
    )
    refused = client.post(path, {"to": "2020-01-06"}, content_type="application/json")
    assert (refused.status_code, "This day is over" in refused.content.decode()) == (400, True)


def test_a_program_notes_an_absence_of_its_own_person_only(cast, api):
    today = company_today()
    body = {"starts_on": today.isoformat(), "ends_on": today.isoformat(), "substitute": cast.owner.email}
    client = api(cast.teammate)

    noted = client.post("/api/v1/absences/", body, content_type="application/json")
    other = client.post(
        "/api/v1/absences/", body | {"person": cast.stranger.email}, content_type="application/json"
    )

    assert (noted.status_code, noted.json()["person"], other.status_code) == (201, cast.teammate.email, 403)
    path = f"/api/v1/absences/{noted.json()['id']}/end/"
    assert client.post(path, {}, content_type="application/json").status_code == 204
    assert not Absence.objects.exists()


@pytest.mark.parametrize(
    ("first", "last", "changes", "said"),
    [
        (0, 3, {"substitute": "own"}, "Somebody else has to stand in."),
        (3, 0, {}, "not before the first"),
        (-9, -3, {}, "This absence is over"),
        (0, 900, {}, "At most two years"),
    ],
)
def test_an_absence_that_cannot_be_is_refused_in_a_sentence(cast, api, first, last, changes, said):
    today = company_today()
    body = {
        key: (today + dt.timedelta(days=days)).isoformat()
        for key, days in (("starts_on", first), ("ends_on", last))
    }
    body |= dict.fromkeys(changes, cast.teammate.email)

    answer = api(cast.teammate).post("/api/v1/absences/", body, content_type="application/json")

    assert (answer.status_code, said in answer.json()["detail"]) == (400, True)
    assert not Absence.objects.exists()


def test_programs_are_asked_for_what_people_are_asked_for(cast, api):
    handback, client = HandbackFactory(account=cast.account), api(cast.owner)
    closed = client.post(
        f"/api/v1/handbacks/{handback.pk}/close/", {"outcome": "false_alarm"}, content_type="application/json"
    )
    pulse = {"account_id": cast.account.pk, "score": 5, "next_step": "Ring", "next_step_due_on": "2020-01-01"}
    logged = client.post("/api/v1/pulse-checks/", pulse, content_type="application/json")

    assert (closed.status_code, "what made it look like a risk" in closed.json()["detail"]) == (400, True)
    assert (logged.status_code, "This day is over" in logged.json()["detail"]) == (400, True)
