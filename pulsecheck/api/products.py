"""Products over the API: what is sold, what an account bought, and what to talk about next."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.api.paging import NewestFirst
from accounts.api.resources import Visible
from accounts.models import Account, Product, User
from pulsecheck.selectors.products import AccountProducts, account_products


class ProductSerializer(serializers.ModelSerializer[Product]):
    class Meta:
        model = Product
        fields = ("id", "record_source", "sku", "name", "series", "unit_price", "created_at", "updated_at")


class ProductFilter(django_filters.FilterSet):
    name = django_filters.CharFilter(lookup_expr="icontains", label="Part of the name.")

    class Meta:
        model = Product
        fields = ("sku", "record_source", "series")


@extend_schema_view(
    list=extend_schema(summary="List products"), retrieve=extend_schema(summary="Read a product")
)
class ProductViewSet(Visible):
    """What the company sells."""

    queryset = Product.objects.none()
    serializer_class = ProductSerializer
    filterset_class = ProductFilter
    pagination_class = NewestFirst

    def visible_rows(self, rows: QuerySet[Product], user: User) -> QuerySet[Product]:
        """Everybody sees all of them."""
        return rows


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


class AccountProductsViewSet(viewsets.GenericViewSet[Account]):
    """What one account bought and could buy next."""

    queryset = Account.objects.none()
    serializer_class = AccountProductsSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(summary="Read the products of an account", responses=AccountProductsSerializer(many=False))
    def list(self, request: Request, account_id: int) -> Response:
        """Nothing is suggested while the account is unwell; `held_back` says why."""
        account = get_object_or_404(Account.objects.visible_to(caller(request)), pk=account_id)
        return Response(AccountProductsSerializer(_as_told(account_products(account))).data)


def _as_told(found: AccountProducts) -> dict[str, Any]:
    held = [cell.holding for _, _, cells in found.series for cell in cells if cell.holding]
    return {
        "bought": held,
        "held_back": found.held_back,
        "suggestions": [] if found.held_back else found.suggestions,
        "worked_out_on": found.study.as_of if found.study else None,
    }
