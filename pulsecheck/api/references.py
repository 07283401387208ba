"""References over the API: which customers vouch for us, and what they agreed to."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.base import (
    AccountColumn,
    ContactColumn,
    EmailOf,
    OfAccountFilter,
    RowId,
    RowSerializer,
    described,
)
from accounts.api.repeats import idempotent
from accounts.selectors import company_today
from pulsecheck.api.care import CareResource, checked, done_or_refused
from pulsecheck.api.pulses import ContactRequest, account_for, contact_of
from pulsecheck.models import Reference
from pulsecheck.services.references import note_consent, revoke_consent


class ReferenceSerializer(RowSerializer[Reference]):
    account = AccountColumn()
    contact = ContactColumn()
    noted_by = EmailOf("noted_by")
    revoked_by = EmailOf("revoked_by")

    class Meta:
        model = Reference
        fields = (
            "id", "account", "account_id", "contact", "contact_id", "agreed_by", "agreed_on", "until", "shows_name",
            "shows_since", "shows_on_time", "takes_calls", "quote", "noted_by", "revoked_at", "revoked_by",
            "revoke_reason", "created_at", "updated_at",
        )  # fmt: skip


class ReferenceFilter(OfAccountFilter):
    is_in_force = django_filters.BooleanFilter(
        method="in_force_today", label="Given, not run out, not taken back."
    )
    takes_calls = django_filters.BooleanFilter()

    class Meta:
        model = Reference
        fields = ()

    def in_force_today(self, rows: QuerySet[Reference], name: str, value: bool) -> QuerySet[Reference]:
        valid = Reference.objects.in_force(company_today())
        return rows.filter(pk__in=valid) if value else rows.exclude(pk__in=valid)


class ConsentRequest(ContactRequest):
    account_id = RowId()
    agreed_by = serializers.CharField(max_length=200, help_text="Who there agreed.")
    agreed_on = serializers.DateField()
    until = serializers.DateField()
    shows_name = serializers.BooleanField(default=False)
    shows_since = serializers.BooleanField(default=False)
    shows_on_time = serializers.BooleanField(default=False)
    takes_calls = serializers.BooleanField(default=False)
    quote = serializers.CharField(
        max_length=600, allow_blank=True, default="", help_text="Exactly as agreed."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        today = company_today()
        if attrs["agreed_on"] > today:
            raise ValidationError({"agreed_on": "This is still to come. Note consent once it is given."})
        if attrs["until"] < today:
            raise ValidationError({"until": "This day is over."})
        return attrs


class RevokeRequest(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, allow_blank=True, default="")


@described("reference")
class ReferenceViewSet(CareResource):
    """Consent of customers to vouch for us: who agreed, to what, until when. Nothing else may be shown of them."""

    queryset = Reference.objects.none()
    serializer_class = ReferenceSerializer
    filterset_class = ReferenceFilter
    related = ("account", "contact", "noted_by", "revoked_by")

    @extend_schema(summary="Note a consent", request=ConsentRequest, responses={201: ReferenceSerializer})
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """To these things and to nothing else; consent given before is replaced by it."""
        body = dict(checked(ConsentRequest, request))
        account = account_for(caller(request), body.pop("account_id"))
        contact = contact_of(account, body.pop("contact_id"), body.pop("contact"))
        made = done_or_refused(note_consent, account, request.user, contact=contact, **body)
        return Response(ReferenceSerializer(made).data, status=201)

    @extend_schema(summary="Take a consent back", request=RevokeRequest, responses=ReferenceSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def revoke(self, request: Request, pk: int) -> Response:
        """Gone from every page at once. A second time changes nothing."""
        row = self.get_object()
        done_or_refused(revoke_consent, row, request.user, checked(RevokeRequest, request)["reason"])
        return Response(ReferenceSerializer(self.get_object()).data)
