"""Our own people and teams, the reasons customers leave for, and what came in by import, over the API. Read only."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework import permissions, serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.authentication import caller
from accounts.api.base import ChangedFilter, EmailOf, ForEverybody, IdFilter, Newest, RowSerializer, described
from accounts.ingest.schema import KINDS
from accounts.models import ChurnReason, ImportRun, Role, Team, User
from accounts.models.api import Area
from accounts.models.imports import ImportRunQuerySet, ImportState
from accounts.permissions import LEADERS, has_role


class UserSerializer(RowSerializer[User]):
    team = serializers.CharField(source="team.name", read_only=True, allow_null=True, default=None)

    class Meta:
        model = User
        fields = (
            "id",
            "email",
            "name",
            "role",
            "team",
            "team_id",
            "left_on",
            "is_active",
            "is_sample",
            "created_at",
        )


class UserFilter(django_filters.FilterSet):
    email = django_filters.CharFilter(lookup_expr="iexact")
    role = django_filters.ChoiceFilter(choices=Role.choices)
    team_id = IdFilter("team_id")

    class Meta:
        model = User
        fields = ("is_active",)


@described("person of ours", "our people")
class UserViewSet(ForEverybody):
    """Who of ours there is: records name them by e-mail."""

    queryset = User.objects.none()
    serializer_class = UserSerializer
    filterset_class = UserFilter
    related = ("team",)
    area = Area.PEOPLE
    sorts = ("id", "name", "email")


class TeamSerializer(RowSerializer[Team]):
    manager = EmailOf("manager")

    class Meta:
        model = Team
        fields = ("id", "name", "manager", "is_sample", "created_at", "updated_at")


@described("team")
class TeamViewSet(ForEverybody):
    """Teams and who leads them."""

    queryset = Team.objects.none()
    serializer_class = TeamSerializer
    related = ("manager",)
    area = Area.PEOPLE
    sorts = ("id", "name", "updated_at")


class ChurnReasonSerializer(RowSerializer[ChurnReason]):
    class Meta:
        model = ChurnReason
        fields = ("id", "code", "name", "side", "is_controllable", "is_active", "position")


@described("churn reason")
class ChurnReasonViewSet(ForEverybody):
    """Why customers leave, by code; those no longer in use are not active."""

    queryset = ChurnReason.objects.none()
    serializer_class = ChurnReasonSerializer
    sorts = ("id", "position", "code")


class OnlyLeaders(permissions.BasePermission):
    message = "Imports are the business of administrators and managers."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return has_role(caller(request), *LEADERS)


class ImportSerializer(RowSerializer[ImportRun]):
    created_by = EmailOf("created_by")

    class Meta:
        model = ImportRun
        fields = (
            "id", "kind", "record_source", "file_name", "state", "is_dry_run", "created_by", "started_at", "finished_at",
            "undone_at", "rows_read", "rows_created", "rows_changed", "rows_unchanged", "rows_rejected", "accounts_created",
            "message", "created_at", "updated_at",
        )  # fmt: skip


class ImportFilter(ChangedFilter):
    kind = django_filters.ChoiceFilter(choices=[(name, name) for name in KINDS])
    state = django_filters.ChoiceFilter(choices=ImportState.choices)

    class Meta:
        model = ImportRun
        fields = ("record_source",)


@described("import")
class ImportViewSet(Newest):
    """Files and calls that brought records: what each created, changed and refused."""

    queryset = ImportRun.objects.none()
    serializer_class = ImportSerializer
    permission_classes = (permissions.IsAuthenticated, OnlyLeaders)
    filterset_class = ImportFilter
    related = ("created_by",)

    def visible_rows(self, rows: ImportRunQuerySet, user: User) -> QuerySet[ImportRun]:
        return rows.visible_to(user)
