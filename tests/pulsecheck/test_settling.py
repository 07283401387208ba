"""A churn reason on which the two owners disagree is settled, and how it came about is kept."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import AuditEntry, ChurnReason
from pulsecheck.errors import CareError
from pulsecheck.models import Handback, ReasonSettlement
from pulsecheck.services import (
    close_handback,
    counter_sign,
    open_handback,
    settle_reason,
)
from tests.factories import Cast, make_cast
from tests.pulsecheck.test_handbacks import risk

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def cast() -> Cast:
    return make_cast()


@pytest.fixture
def both_sides() -> ChurnReason:
    return ChurnReason.objects.create(code="sold-and-served", name="Sold and served badly", side="both")


@pytest.fixture
def price() -> ChurnReason:
    return ChurnReason.objects.get(code="undercut")


@pytest.fixture
def disputed(cast: Cast, both_sides: ChurnReason) -> Handback:
    closed = close_handback(open_handback(cast.account, risk()), cast.owner, "lost", churn_reason=both_sides)
    return counter_sign(closed, cast.teammate, agrees=False, note="It was the price")


def test_only_a_dispute_is_settled_and_by_whom_it_concerns(
    cast: Cast, disputed: Handback, both_sides: ChurnReason, price: ChurnReason
) -> None:
    with pytest.raises(CareError, match="or a manager settles this"):
        settle_reason(disputed, cast.teammate, churn_reason=price, note="I said so")
    with pytest.raises(CareError, match="Choose another reason"):
        settle_reason(disputed, cast.owner, churn_reason=both_sides, note="I still say so")
    settle_reason(disputed, cast.owner, churn_reason=price, note="Tim is right")
    settle_reason(disputed, cast.owner, churn_reason=price, note="Tim is right")
    settle_reason(disputed, cast.manager, churn_reason=both_sides, note="It was both after all")
    settle_reason(disputed, cast.manager, churn_reason=both_sides, note="As I said")
    disputed.refresh_from_db()
    assert disputed.churn_reason == both_sides
    history = list(ReasonSettlement.objects.values_list("before__code", "after__code", "settled_by__name"))
    assert history == [
        ("sold-and-served", "undercut", cast.owner.name),
        ("undercut", "sold-and-served", cast.manager.name),
        ("sold-and-served", "sold-and-served", cast.manager.name),
    ]
    assert AuditEntry.objects.filter(action="settle_reason").count() == 3
    assert cast.teammate.notifications.filter(title__contains="is settled").count() == 3


def test_what_both_signed_is_not_settled_anew(
    cast: Cast, both_sides: ChurnReason, price: ChurnReason
) -> None:
    closed = close_handback(open_handback(cast.account, risk()), cast.owner, "lost", churn_reason=both_sides)
    with pytest.raises(CareError, match="nothing to settle"):
        settle_reason(closed, cast.manager, churn_reason=price, note="x")
    counter_sign(closed, cast.teammate, agrees=True)
    with pytest.raises(CareError, match="nothing to settle"):
        settle_reason(closed, cast.manager, churn_reason=price, note="x")


def test_settling_on_the_page(cast: Cast, client: Client, disputed: Handback, price: ChurnReason) -> None:
    page, address = f"/handbacks/{disputed.pk}/", f"/handbacks/{disputed.pk}/settle/"
    client.force_login(cast.manager)
    assert "Settle why they left" in client.get("/").content.decode()
    assert "Settle why they left" in client.get(page).content.decode()
    assert client.post(address, {"churn_reason": price.pk}).status_code == 422
    assert client.post(address, {"churn_reason": price.pk, "note": HOSTILE}).status_code == 302
    shown = client.get(page).content.decode()
    assert HOSTILE not in shown
    assert "Sold and served badly" in shown
    assert "Settle why they left" not in client.get("/").content.decode()
    client.force_login(cast.teammate)
    assert 'action="' + address not in client.get(page).content.decode()
