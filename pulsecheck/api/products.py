"""What an account bought over the API, and what to talk about next."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.base import Resource
from accounts.models import Account
from accounts.models.api import Area
from pulsecheck.selectors.products import AccountProducts, account_products


class HoldingSerializer(serializers.Serializer[Any]):
    sku = serializers.CharField(source="product.sku")
    name = serializers.CharField(source="product.name")
    series = serializers.CharField(source="product.series")
    orders = serializers.IntegerField()
    first_on = serializers.DateField()
    last_on = serializers.DateField()


class SuggestionSerializer(serializers.Serializer[Any]):
    sku = serializers.CharField(source="product.sku")
    name = serializers.CharField(source="product.name")
    series = serializers.CharField(source="product.series")
    after = serializers.CharField(source="after.sku", help_text="The product they bought before it.")
    followers = serializers.IntegerField(source="step.followers", help_text="Of `buyers`, bought it next.")
    buyers = serializers.IntegerField(source="step.buyers")


class AccountProductsSerializer(serializers.Serializer[Any]):
    bought = HoldingSerializer(many=True)
    held_back = serializers.ListField(
        child=serializers.CharField(), help_text="Why nothing is suggested now, in words."
    )
    suggestions = SuggestionSerializer(many=True, help_text="Best first; empty while held back.")
    worked_out_on = serializers.DateField(allow_null=True)


class AccountProductsViewSet(Resource):
    """What one account bought and could buy next."""

    queryset = Account.objects.none()
    serializer_class = AccountProductsSerializer
    area = Area.CARE
    pagination_class = None
    filter_backends = ()

    @extend_schema(
        summary="Read the products of an account",
        responses=forced_singular_serializer(AccountProductsSerializer),
    )
    def list(self, request: Request, account_id: int) -> Response:
        """Nothing is suggested while the account is unwell; `held_back` says why."""
        account = get_object_or_404(Account.objects.visible_to(caller(request)), pk=account_id)
        return Response(self.get_serializer(_as_told(account_products(account))).data)


def _as_told(found: AccountProducts) -> dict[str, Any]:
    held = [cell.holding for _, _, cells in found.series for cell in cells if cell.holding]
    return {
        "bought": held,
        "held_back": found.held_back,
        "suggestions": [] if found.held_back else found.suggestions,
        "worked_out_on": found.study.as_of if found.study else None,
    }
