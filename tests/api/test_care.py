"""Acting over the API: handbacks answered and closed, pulse checks logged, each with one effect."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import AuditEntry, ChurnReason, Issue, User
from pulsecheck.models import Handback, PulseCheck
from tests.factories import (
    AccountFactory,
    Cast,
    ContactFactory,
    HandbackFactory,
    SalesRepFactory,
    date_ago,
    make_cast,
)

Api = Callable[[User], APIClient]
PULSES = "/api/v1/pulse-checks/"


@pytest.fixture
def handback(cast: Cast) -> Handback:
    return HandbackFactory(account=cast.account)


def address(handback: Handback, act: str) -> str:
    return f"/api/v1/handbacks/{handback.pk}/{act}/"


class TestHandbacks:
    def test_from_accepting_to_saved(self, cast: Cast, api: Api, handback: Handback) -> None:
        client = api(cast.owner)
        accepted = client.post(address(handback, "accept"))
        assert accepted.json()["state"] == "accepted", accepted.content
        called = {"kind": "call", "has_reached": True, "note": "They will order on Monday."}
        tried = client.post(address(handback, "attempts"), called).json()
        assert [attempt["note"] for attempt in tried["attempts"]] == ["They will order on Monday."]
        closed = client.post(
            address(handback, "close"), {"outcome": "saved", "note": "Ordering again."}
        ).json()
        assert (closed["state"], closed["outcome"], closed["closed_by"]) == (
            "closed",
            "saved",
            cast.owner.email,
        )

    def test_a_loss_on_both_sides_is_signed_by_the_other_owner(
        self, cast: Cast, api: Api, handback: Handback
    ) -> None:
        reason = ChurnReason.objects.filter(side="both").first() or ChurnReason.objects.create(
            code="both", name="Sold and served badly", side="both"
        )
        closed = api(cast.owner).post(
            address(handback, "close"), {"outcome": "lost", "churn_reason": reason.code}
        )
        assert closed.json()["counter_signer"] == cast.teammate.email, closed.content
        sign = address(handback, "counter-sign")
        assert api(cast.manager).post(sign, {"agrees": True}).status_code == 400
        signed = api(cast.teammate).post(sign, {"agrees": True}).json()
        assert (signed["counter_agrees"], signed["counter_note"]) == (True, "")
        assert api(cast.teammate).post(sign, {"agrees": False, "note": "No"}).status_code == 409

    def test_declining_passes_it_on(self, cast: Cast, api: Api, handback: Handback) -> None:
        answer = api(cast.owner).post(address(handback, "decline"), {"reason": "On leave."})
        assert answer.status_code == 200, answer.content
        assert answer.json()["salesperson"] == cast.manager.email

    def test_what_is_over_is_a_conflict(self, cast: Cast, api: Api, handback: Handback) -> None:
        client = api(cast.owner)
        client.post(address(handback, "close"), {"outcome": "saved"})
        for act, body in (("accept", {}), ("decline", {"reason": "x"}), ("attempts", {"kind": "call"})):
            answer = client.post(address(handback, act), body)
            assert answer.status_code == 409, (act, answer.content)
            assert "closed already" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("act", "body", "field"),
        [
            ("decline", {}, "reason"),
            ("attempts", {"kind": "pigeon"}, "kind"),
            ("close", {}, "outcome"),
            ("close", {"outcome": "lost", "churn_reason": "no-such-reason"}, "churn_reason"),
            ("close", {"outcome": "lost"}, ""),
        ],
    )
    def test_a_faulty_body_names_the_field(
        self, cast: Cast, api: Api, handback: Handback, act: str, body: dict[str, Any], field: str
    ) -> None:
        answer = api(cast.owner).post(address(handback, act), body)
        assert answer.status_code == 400, answer.content
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        handback.refresh_from_db()
        assert handback.state == "open"

    @pytest.mark.parametrize("act", ["accept", "decline", "attempts", "close"])
    def test_strangers_find_nothing_and_marketing_only_reads(
        self, cast: Cast, api: Api, handback: Handback, act: str
    ) -> None:
        body = {"reason": "x", "kind": "call", "outcome": "saved"}
        assert api(cast.stranger).post(address(handback, act), body).status_code == 404
        assert api(cast.marketing).post(address(handback, act), body).status_code == 403
        handback.refresh_from_db()
        assert handback.state == "open"


@pytest.mark.usefixtures("committed_db")
def test_of_twenty_who_accept_at_once_one_wins(api: Api) -> None:
    cast = make_cast()
    handback = HandbackFactory(account=cast.account)
    people = SalesRepFactory.create_batch(19, team=cast.team)
    for person in people:
        cast.account.members.create(user=person)
    clients = [api(person) for person in [*people, cast.owner]]
    codes: list[int] = []

    def accept(client: APIClient) -> None:
        try:
            codes.append(client.post(address(handback, "accept")).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=accept, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [409] * 19
    assert AuditEntry.objects.filter(action="accept_handback").count() == 1


class TestPulseChecks:
    @staticmethod
    def body(cast: Cast, **changes: Any) -> dict[str, Any]:
        entry = {
            "account_id": cast.account.pk, "score": 4, "themes": ["delivery"], "next_step": "Ring again",
            "next_step_due_on": date_ago(-7).isoformat(),
        }  # fmt: skip
        return entry | changes

    def test_logged_with_a_grievance(self, cast: Cast, api: Api) -> None:
        contact = ContactFactory(account=cast.account)
        grievance = {
            "description": "Late twice.",
            "owner": cast.owner.email,
            "due_on": date_ago(-3).isoformat(),
        }
        body = self.body(cast, contact_id=contact.pk, grievance=grievance)
        answer = api(cast.teammate).post(PULSES, body)
        assert answer.status_code == 201, answer.content
        assert answer.json()["taken_by"] == answer.json()["next_step_owner"] == cast.teammate.email
        assert answer.json()["themes"] == ["delivery"]
        assert Issue.objects.get(pk=answer.json()["issue_id"]).owner == cast.owner

    def test_a_repeated_call_logs_it_once(self, cast: Cast, api: Api) -> None:
        client = api(cast.teammate)
        answers = [client.post(PULSES, self.body(cast), HTTP_IDEMPOTENCY_KEY="p-1").json() for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        assert PulseCheck.objects.count() == 1

    def test_a_poor_score_hands_the_account_back(self, cast: Cast, api: Api) -> None:
        api(cast.teammate).post(PULSES, self.body(cast, score=1))
        assert Handback.objects.get().trigger == "pulse"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"score": 7}, "score"),
            ({"score": None}, "score"),
            ({"next_step": " "}, "next_step"),
            ({"next_step_due_on": "soon"}, "next_step_due_on"),
            ({"themes": ["delivery", "quality", "price", "service"]}, "themes"),
            ({"themes": ["weather"]}, "themes"),
            ({"next_step_owner": "nobody@ours.example"}, "next_step_owner"),
            ({"account_id": 999_999}, "account_id"),
            ({"contact_id": 999_999}, "contact_id"),
            ({"grievance": {"description": ""}}, "grievance.description"),
        ],
    )
    def test_a_faulty_body_names_the_field(
        self, cast: Cast, api: Api, changes: dict[str, Any], field: str
    ) -> None:
        answer = api(cast.teammate).post(PULSES, self.body(cast, **changes))
        assert answer.status_code == 400, answer.content
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert not PulseCheck.objects.exists()

    def test_not_for_an_account_of_others(self, cast: Cast, api: Api) -> None:
        foreign = self.body(cast, account_id=AccountFactory().pk)
        assert api(cast.teammate).post(PULSES, foreign).status_code == 400
        assert api(cast.stranger).post(PULSES, self.body(cast)).status_code == 400
        assert api(cast.marketing).post(PULSES, self.body(cast)).status_code == 403
        assert not PulseCheck.objects.exists()
