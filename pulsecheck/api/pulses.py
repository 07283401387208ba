"""Pulse checks over the API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import django_filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.base import (
    AccountColumn,
    ContactColumn,
    EmailOf,
    ForEverybody,
    MomentFilter,
    OfAccountFilter,
    RowId,
    RowSerializer,
    described,
)
from accounts.api.repeats import idempotent
from accounts.models import Account, Contact, User
from accounts.models.api import Area
from accounts.selectors import company_today
from pulsecheck.api.care import CareResource, checked, done_or_refused
from pulsecheck.models import Insight, PulseCheck, PulseTheme
from pulsecheck.models.insights import Reaction
from pulsecheck.services.pulses import MOST_THEMES, Grievance, PulseEntry, log_pulse_check


class PulseSerializer(RowSerializer[PulseCheck]):
    account = AccountColumn()
    contact = ContactColumn()
    taken_by = EmailOf("taken_by")
    next_step_owner = EmailOf("next_step_owner")
    themes: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(
        slug_field="code", many=True, read_only=True
    )

    class Meta:
        model = PulseCheck
        fields = (
            "id", "account", "account_id", "taken_by", "taken_at", "contact", "contact_id", "score", "themes", "note",
            "issue_id",
            "insight_id", "insight_shared", "insight_reaction", "opportunity", "next_step", "next_step_owner", "next_step_due_on",
            "next_step_done_at", "created_at",
        )  # fmt: skip


class PulseFilter(OfAccountFilter):
    taken_from = MomentFilter("taken_at", "gte")
    taken_before = MomentFilter("taken_at", "lt")
    max_score = django_filters.NumberFilter("score", "lte", min_value=1, max_value=6)

    class Meta:
        model = PulseCheck
        fields = ()


class GrievanceRequest(serializers.Serializer[Any]):
    description = serializers.CharField(max_length=2000)
    owner = serializers.SlugRelatedField(
        slug_field="email",
        queryset=User.objects.filter(is_active=True, left_on=None),
        required=False,
        help_text="E-mail; empty = you.",
    )
    due_on = serializers.DateField(required=False, allow_null=True, default=None)


class ContactRequest(serializers.Serializer[Any]):
    """How requests name somebody at an account."""

    contact_id = RowId(required=False, allow_null=True, default=None)
    contact = serializers.CharField(
        max_length=200, required=False, allow_null=True, default=None, help_text="Or the external id."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A low pulse with a grievance",
            value={
                "account_id": 7,
                "contact": "C-12",
                "score": 3,
                "themes": ["delivery"],
                "note": "Late twice in May.",
                "grievance": {"description": "Two late deliveries"},
                "next_step": "Ring with a plan",
                "next_step_due_on": "2026-12-01",
            },
            request_only=True,
        )
    ]
)
class PulseRequest(ContactRequest):
    account_id = RowId()
    score = serializers.IntegerField(min_value=1, max_value=6)
    themes: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(
        slug_field="code", queryset=PulseTheme.objects.filter(is_active=True), many=True, required=False
    )
    note = serializers.CharField(max_length=4000, allow_blank=True, default="")
    grievance = GrievanceRequest(required=False, allow_null=True, default=None, help_text="Opens an issue.")
    insight_id = RowId(
        required=False,
        allow_null=True,
        default=None,
        help_text="What was told.",
    )
    insight_shared = serializers.CharField(
        max_length=300, allow_blank=True, default="", help_text="Or in words, when it is not in the library."
    )
    insight_reaction = serializers.ChoiceField(
        choices=Reaction.choices,
        allow_blank=True,
        default="",
        help_text="What they made of it; goes with insight_id or insight_shared.",
    )
    opportunity = serializers.CharField(max_length=300, allow_blank=True, default="")
    next_step = serializers.CharField(max_length=300)
    next_step_owner = serializers.SlugRelatedField(
        slug_field="email",
        queryset=User.objects.filter(is_active=True, left_on=None),
        required=False,
        help_text="E-mail; empty = you.",
    )
    next_step_due_on = serializers.DateField(help_text="Today or later.")

    def validate_next_step_due_on(self, day: dt.date) -> dt.date:
        if day < company_today():
            raise ValidationError("This day is over. Choose today or later.")
        return day

    def validate_themes(self, themes: list[PulseTheme]) -> list[PulseTheme]:
        if len(themes) > MOST_THEMES:
            raise ValidationError(f"Choose at most {MOST_THEMES} themes: what mattered most.")
        return themes


def account_for(user: User, pk: int) -> Account:
    """An account that a request names; a fault of the request where the caller may not see it."""
    account = Account.objects.visible_to(user).filter(pk=pk).first()
    if account is None:
        raise ValidationError({"account_id": "There is no such account, or it is not yours to see."})
    return account


def contact_of(account: Account, pk: int | None, external_id: str | None = None) -> Contact | None:
    """Somebody at the account that a request names, by number or by external id; both have to be the same person."""
    if pk is None and not external_id:
        return None
    field = "contact_id" if pk is not None else "contact"
    named = {"pk": pk} if pk is not None else {}
    found = list(
        account.contacts.filter(**named, **({"external_id": external_id} if external_id else {}))[:2]
    )
    if not found:
        raise ValidationError({field: "This account has no such contact."})
    if len(found) > 1:
        raise ValidationError({field: "Two contacts have this id, from two sources; use contact_id."})
    return found[0]


def _insight(pk: int | None) -> Insight | None:
    if pk is None:
        return None
    insight = Insight.objects.valid_on(company_today()).filter(pk=pk).first()
    if insight is None:
        raise ValidationError({"insight_id": "There is no such insight that may be told today."})
    return insight


def _grievance(body: Mapping[str, Any] | None, user: User) -> Grievance | None:
    if body is None:
        return None
    return Grievance(body["description"], body.get("owner", user), body["due_on"])


@described("pulse check")
class PulseViewSet(CareResource):
    """What customers told us, on six points: 1 about to leave, 6 delighted."""

    queryset = PulseCheck.objects.none()
    serializer_class = PulseSerializer
    filterset_class = PulseFilter
    related = ("account", "contact", "taken_by", "next_step_owner")
    prefetched = ("themes",)

    @extend_schema(summary="Log a pulse check", request=PulseRequest, responses={201: PulseSerializer})
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Completes the planned contact and plans the next; a grievance opens an issue, a poor score a handback."""
        body = dict(checked(PulseRequest, request))
        account = account_for(caller(request), body.pop("account_id"))
        entry = PulseEntry(
            contact=contact_of(account, body.pop("contact_id"), body.pop("contact")),
            insight=_insight(body.pop("insight_id")),
            grievance=_grievance(body.pop("grievance"), caller(request)),
            **{"next_step_owner": request.user, **body},
        )
        pulse = done_or_refused(log_pulse_check, account, request.user, entry)
        return Response(PulseSerializer(pulse).data, status=201)


class ThemeSerializer(RowSerializer[PulseTheme]):
    class Meta:
        model = PulseTheme
        fields = ("id", "code", "name", "is_active", "position")


@described("pulse theme")
class PulseThemeViewSet(ForEverybody):
    """What pulse checks can be about; those no longer in use are not active."""

    queryset = PulseTheme.objects.none()
    serializer_class = ThemeSerializer
    area = Area.CARE
    sorts = ("id", "position", "code")
