"""Addresses of API v1."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.routers import SimpleRouter

from accounts.api import care, company, resources
from accounts.api.problems import Nowhere
from notifications.api.webhooks import WebhookDeliveryViewSet, WebhookViewSet
from pulsecheck.api.actions import ActionViewSet
from pulsecheck.api.handbacks import HandbackViewSet
from pulsecheck.api.listening import AuditPickViewSet, InsightViewSet, SurveyViewSet
from pulsecheck.api.products import AccountProductsViewSet
from pulsecheck.api.pulses import PulseThemeViewSet, PulseViewSet
from pulsecheck.api.references import ReferenceViewSet
from pulsecheck.api.touchpoints import AbsenceViewSet, TouchpointViewSet
from retention.api.kpis import KpiViewSet
from retention.api.meetings import MeetingViewSet
from retention.api.scores import AccountScoreViewSet, ScoreViewSet

app_name = "api"

router = SimpleRouter(use_regex_path=False)
router.register("accounts", resources.AccountViewSet, "account")
router.register("contacts", resources.ContactViewSet, "contact")
router.register("orders", resources.OrderViewSet, "order")
router.register("contracts", resources.ContractViewSet, "contract")
router.register("interactions", care.InteractionViewSet, "interaction")
router.register("issues", care.IssueViewSet, "issue")
router.register("promises", care.PromiseViewSet, "promise")
router.register("enquiries", care.EnquiryViewSet, "enquiry")
router.register("handbacks", HandbackViewSet, "handback")
router.register("pulse-checks", PulseViewSet, "pulse-check")
router.register("touchpoints", TouchpointViewSet, "touchpoint")
router.register("absences", AbsenceViewSet, "absence")
router.register("insights", InsightViewSet, "insight")
router.register("surveys", SurveyViewSet, "survey")
router.register("audit-picks", AuditPickViewSet, "audit-pick")
router.register("meetings", MeetingViewSet, "meeting")
router.register("actions", ActionViewSet, "action")
router.register("references", ReferenceViewSet, "reference")
router.register("products", resources.ProductViewSet, "product")
router.register("order-lines", resources.OrderLineViewSet, "order-line")
router.register("churn-reasons", company.ChurnReasonViewSet, "churn-reason")
router.register("imports", company.ImportViewSet, "import")
router.register("users", company.UserViewSet, "user")
router.register("teams", company.TeamViewSet, "team")
router.register("webhooks", WebhookViewSet, "webhook")
router.register("webhook-calls", WebhookDeliveryViewSet, "webhook-call")
router.register("kpis", KpiViewSet, "kpi")
router.register("pulse-themes", PulseThemeViewSet, "pulse-theme")
router.register("accounts/<int:account_id>/products", AccountProductsViewSet, "account-product")
router.register("scores", ScoreViewSet, "score")
router.register("accounts/<int:account_id>/scores", AccountScoreViewSet, "account-score")

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("", include(router.urls)),
    re_path(r"^(?P<anything>.*/)$", Nowhere.as_view(), name="nowhere"),
]
