"""A record is told exactly as the library would tell it, field by field, only sooner."""

from __future__ import annotations

import pytest
from django.db.models import Model
from rest_framework import serializers

import retention.urls  # noqa: F401 - with it every resource and its serializer is known
from accounts.api.base import RowSerializer
from accounts.models import Contact
from pulsecheck.models import HandbackCredit, HandbackReason, ReasonSettlement
from tests.factories import (
    AccountFactory,
    ContactFactory,
    HandbackAttemptFactory,
    HandbackFactory,
    InteractionFactory,
    PulseCheckFactory,
    churn_reason,
)
from tests.test_permissions import World, world  # noqa: F401 - a fixture


def kinds() -> list[type[RowSerializer[Model]]]:
    return sorted(RowSerializer.__subclasses__(), key=lambda kind: kind.__name__)


def test_every_kind_is_looked_at() -> None:
    assert len(kinds()) > 25


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_it_is_told_as_the_library_tells_it(world: World, kind: type[RowSerializer[Model]]) -> None:  # noqa: F811
    account = world.cast.account
    # Somebody is there in one row and nobody in the other.
    InteractionFactory(account=account, contact=ContactFactory(account=account), user=None)
    PulseCheckFactory(account=account, contact=Contact.objects.first())
    handback, left = HandbackFactory(account=AccountFactory()), churn_reason()
    HandbackAttemptFactory(handback=handback)
    HandbackReason.objects.create(handback=handback, trigger="quiet", noted_at=handback.opened_at)
    HandbackCredit.objects.create(handback=handback, person=world.cast.owner, part="Called them")
    ReasonSettlement.objects.create(
        handback=handback, before=left, after=left, settled_at=handback.opened_at, note="Both"
    )
    rows = list(kind.Meta.model._default_manager.all()[:20])
    assert rows, "nothing to compare"
    for row in rows:
        row.sees_account = True  # what the list of actions says of each
        told = kind(row).to_representation(row)
        plainly = serializers.ModelSerializer.to_representation(kind(row), row)
        assert told == plainly
        assert list(told) == list(plainly)
        if paths := kind.paths():
            values = type(row)._default_manager.values_list(*paths, named=True).get(pk=row.pk)
            assert kind(values).to_representation(values) == plainly


def test_lists_of_records_are_told_from_plain_values() -> None:
    plain = {kind.__name__ for kind in kinds() if kind.paths()}
    assert {"AccountSerializer", "ContactSerializer", "OrderSerializer", "OrderLineSerializer"} <= plain
