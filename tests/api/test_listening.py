"""Insights, surveys and audits over the API."""

import pytest

from notifications.models import OutboxMessage
from pulsecheck.models import PulseCheck, Survey
from tests.factories import (
    AuditPickFactory,
    ContactFactory,
    InsightFactory,
    PulseCheckFactory,
    SurveyAnswerFactory,
    date_ago,
)

PULSES, SURVEYS = "/api/v1/pulse-checks/", "/api/v1/surveys/"


def test_insights_by_industry_and_validity(cast, api):
    InsightFactory(title="theirs", industries=["Hotels"])
    InsightFactory(title="all", valid_until=date_ago(1))
    InsightFactory(title="others", industries=["Offices"])
    client = api(cast.stranger)

    def titles(query):
        return {row["title"] for row in client.get(f"/api/v1/insights/?{query}").json()["results"]}

    assert titles("industry=Hotels") == {"theirs", "all"}
    assert titles("industry=Hotels&is_valid=true") == {"theirs"}
    assert titles("is_valid=false") == {"all"}


def test_an_insight_told_at_a_pulse(cast, api):
    insight, over = InsightFactory(title="Oat milk"), InsightFactory(valid_until=date_ago(1))
    body = {
        "account_id": cast.account.pk,
        "score": 5,
        "next_step": "Call",
        "next_step_due_on": date_ago(-5).isoformat(),
        "insight_reaction": "useful",
    }
    client = api(cast.teammate)

    assert client.post(PULSES, body | {"insight_id": over.pk}).status_code == 400
    assert client.post(PULSES, body).status_code == 400
    said = client.post(PULSES, body | {"insight_id": insight.pk}).json()

    assert (said["insight_id"], said["insight_shared"], said["insight_reaction"]) == (
        insight.pk,
        "Oat milk",
        "useful",
    )
    assert PulseCheck.objects.count() == 1


def test_a_survey_is_sent_once_and_never_shows_its_link(cast, api):
    contact = ContactFactory(account=cast.account)
    body = {"account_id": cast.account.pk, "contact_id": contact.pk, "asks_ces": True}
    client = api(cast.owner)

    first = client.post(SURVEYS, body, headers={"Idempotency-Key": "a"})
    again = client.post(SURVEYS, body, headers={"Idempotency-Key": "a"})
    refused = client.post(SURVEYS, body, headers={"Idempotency-Key": "b"})

    assert (first.status_code, again.json(), refused.status_code) == (201, first.json(), 400)
    assert (Survey.objects.count(), OutboxMessage.objects.count()) == (1, 1)
    assert Survey.objects.get().key not in first.content.decode()
    nothing = {
        "account_id": cast.account.pk,
        "contact_id": ContactFactory(account=cast.account).pk,
        "asks_nps": False,
    }
    assert client.post(SURVEYS, nothing).status_code == 400
    strange = {"account_id": cast.account.pk, "contact_id": ContactFactory().pk}
    assert client.post(SURVEYS, strange).status_code == 400


@pytest.mark.parametrize("address", [SURVEYS, "/api/v1/audit-picks/"])
def test_lists_hold_what_one_may_see_in_as_many_queries_as_for_one(
    cast, api, address, django_assert_max_num_queries
):
    SurveyAnswerFactory.create_batch(4, survey__account=cast.account)
    pulse = PulseCheckFactory(account=cast.account, score=2)
    AuditPickFactory(account=cast.account, pulse=pulse)
    AuditPickFactory()
    SurveyAnswerFactory()
    client = api(cast.owner)

    with django_assert_max_num_queries(8):
        rows = client.get(address).json()["results"]

    assert {row["account_id"] for row in rows} == {cast.account.pk}
    assert api(cast.stranger).get(address).json()["results"] == []
    if address == SURVEYS:
        assert rows[0]["answer"]["is_bad"] is True
    else:
        assert rows[0]["score"] == 2
