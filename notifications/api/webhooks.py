"""Webhooks over the API: who is told of what, and what became of each call. For administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import permissions, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import caller
from accounts.api.base import ChangedFilter, ForEverybody, IdFilter, RowSerializer, described
from accounts.api.repeats import idempotent
from accounts.crm.errors import CrmError
from accounts.models.api import Area
from accounts.permissions import ADMINISTRATORS, has_role
from notifications.models import EventKind, OutboxState, WebhookDelivery, WebhookSubscription
from notifications.services import webhooks as services

EVENTS = [choice for choice in EventKind.choices if choice[0] != EventKind.TEST]


class OnlyAdministrators(permissions.BasePermission):
    message = "Webhooks are for administrators."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_role(caller(request), *ADMINISTRATORS)


class WebhookSerializer(RowSerializer[WebhookSubscription]):
    events = serializers.ListField(child=serializers.ChoiceField(choices=EVENTS))

    class Meta:
        model = WebhookSubscription
        fields = (
            "id", "name", "url", "events", "hint", "is_active", "disabled_because", "failing_since", "previous_until",
            "created_at", "updated_at",
        )  # fmt: skip


class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(
        read_only=True, help_text="Calls are signed with it. Shown only in this answer."
    )

    class Meta(WebhookSerializer.Meta):
        fields: tuple[str, ...] = (*WebhookSerializer.Meta.fields, "secret")  # type: ignore[assignment]


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A warehouse that is told of handbacks",
            value={
                "name": "Warehouse",
                "url": "https://example.com/mainstay",
                "events": ["handback.opened", "handback.closed"],
            },
            request_only=True,
        )
    ]
)
class WebhookRequest(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    url = serializers.URLField(max_length=500)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS), min_length=1, max_length=len(EVENTS)
    )


class Restricted(ForEverybody):
    """Resources of administrators."""

    permission_classes = (permissions.IsAuthenticated, OnlyAdministrators)
    area = Area.WEBHOOKS


@described("webhook")
class WebhookViewSet(Restricted):
    """Addresses of other programs that are told when something happens; docs/api.md says how calls look and are signed."""

    queryset = WebhookSubscription.objects.none()
    serializer_class = WebhookSerializer
    filterset_class = ChangedFilter

    @extend_schema(summary="Subscribe", request=WebhookRequest, responses={201: NewWebhookSerializer})
    @idempotent
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Its secret is in this answer and nowhere else. A repetition with the same Idempotency-Key comes without it."""
        body = _body(request)
        made, secret = _allowed(services.subscribe, caller(request), **body)
        return _with_secret(made, secret, status=201)

    @extend_schema(summary="Change a webhook", request=WebhookRequest, responses=WebhookSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def change(self, request: Request, pk: int) -> Response:
        """Another name, address or choice of events."""
        row = self.get_object()
        _allowed(services.change_subscription, row, caller(request), **_body(request))
        return Response(WebhookSerializer(row).data)

    @extend_schema(summary="Change the secret", request=None, responses=NewWebhookSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def rotate(self, request: Request, pk: int) -> Response:
        """For a day calls are signed with the old one as well."""
        row = self.get_object()
        secret = services.rotate_secret(row, caller(request))
        row.refresh_from_db()
        return _with_secret(row, secret)

    @extend_schema(summary="Turn a webhook on", request=None, responses=WebhookSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def enable(self, request: Request, pk: int) -> Response:
        """What waited for it is sent."""
        return self._turn(request, is_on=True)

    @extend_schema(summary="Turn a webhook off", request=None, responses=WebhookSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def disable(self, request: Request, pk: int) -> Response:
        """Nothing is sent, and nothing new is noted for it."""
        return self._turn(request, is_on=False)

    def _turn(self, request: Request, *, is_on: bool) -> Response:
        row = self.get_object()
        services.turn_subscription(row, caller(request), is_on=is_on)
        return Response(WebhookSerializer(row).data)

    @extend_schema(summary="Send a test", request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    @idempotent
    def test(self, request: Request, pk: int) -> Response:
        """A call of its own, `webhook.test`, whatever it is subscribed to."""
        services.send_test(self.get_object())
        return Response(status=204)

    @extend_schema(summary="Unsubscribe", request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    @idempotent
    def unsubscribe(self, request: Request, pk: int) -> Response:
        """Gone with its log."""
        services.unsubscribe(self.get_object(), caller(request))
        return Response(status=204)


class DeliverySerializer(RowSerializer[WebhookDelivery]):
    event_id = serializers.UUIDField(source="event.uid", read_only=True)
    kind = serializers.ChoiceField(choices=EventKind.choices, source="event.kind", read_only=True)
    data = serializers.DictField(source="event.data", read_only=True)  # type: ignore[assignment]

    class Meta:
        model = WebhookDelivery
        fields = (
            "id", "subscription_id", "event_id", "kind", "account_id", "state", "attempts", "next_attempt_at", "sent_at",
            "last_status", "last_error", "data", "created_at", "updated_at",
        )  # fmt: skip


class DeliveryFilter(ChangedFilter):
    subscription_id = IdFilter("subscription_id")
    account_id = IdFilter("account_id")
    state = django_filters.ChoiceFilter(choices=OutboxState.choices)
    kind = django_filters.ChoiceFilter("event__kind", choices=EventKind.choices)


@described("webhook call")
class WebhookDeliveryViewSet(Restricted):
    """Calls made and to be made. Kept for 30 days."""

    queryset = WebhookDelivery.objects.none()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    related = ("event",)

    @extend_schema(summary="Send a call again", request=None, responses=DeliverySerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def replay(self, request: Request, pk: int) -> Response:
        """Under the same id, by which the other side knows it again."""
        services.replay(self.get_object(), caller(request))
        return Response(DeliverySerializer(self.get_object()).data)


def _body(request: Request) -> dict[str, Any]:
    body = WebhookRequest(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _allowed(act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    try:
        return act(*arguments, **named)
    except CrmError as refusal:
        raise ValidationError({"url": str(refusal)}) from refusal


def _with_secret(row: WebhookSubscription, secret: str, status: int = 200) -> Response:
    """The answer with the secret; it is left out of what is kept for repetitions."""
    answer = Response({**WebhookSerializer(row).data, "secret": secret}, status=status)
    answer.kept_without = ("secret",)  # type: ignore[attr-defined]
    return answer
