"""Every address of the application."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from retention.views import (
    account,
    accounts,
    api_docs,
    at_risk,
    health,
    kpis,
    model,
    scorecard,
    search,
    settings,
    status,
    today,
)

handler500 = "retention.views.errors.server_error"

pages: list[URLPattern | URLResolver] = [
    path("", today.today, name="today"),
    path("sample/load/", today.load_sample, name="load_sample"),
    path("sample/remove/", today.remove_sample, name="remove_sample"),
    path("at-risk/", at_risk.at_risk, name="at_risk"),
    path("at-risk/act/", at_risk.act, name="at_risk_bulk"),
    re_path(r"^at-risk/export\.(?P<form>csv|xlsx)$", at_risk.export, name="at_risk_export"),
    path("accounts/", accounts.accounts, name="accounts"),
    path("accounts/<int:pk>/", account.account, name="account"),
    path("accounts/<int:pk>/interactions/", account.log_interaction, name="log_interaction"),
    path("accounts/<int:pk>/promises/", account.make_promise, name="make_promise"),
    path("accounts/<int:pk>/issues/", account.open_issue, name="open_issue"),
    path("accounts/<int:pk>/put-off/", account.put_off, name="put_off"),
    path("accounts/<int:pk>/not-a-risk/", account.dismiss, name="dismiss"),
    path("enquiries/<int:pk>/answer/", account.answer_enquiry, name="answer_enquiry"),
    path("promises/<int:pk>/keep/", account.keep_promise, name="keep_promise"),
    path("issues/<int:pk>/resolve/", account.resolve_issue, name="resolve_issue"),
    path("contacts/<int:pk>/left/", account.contact_left, name="contact_left"),
    path("contracts/<int:pk>/terms/", account.disclose_terms, name="disclose_terms"),
    re_path(r"^accounts/export\.(?P<form>csv|xlsx)$", accounts.export, name="accounts_export"),
    path("disagreements/", scorecard.disagreements, name="disagreements"),
    path("disagreements/<int:pk>/settle/", scorecard.settle, name="settle"),
    path("search/", search.search, name="search"),
    path("search/suggest/", search.suggest, name="suggest"),
    path("kpis/", kpis.board, name="kpis"),
    re_path(r"^kpis/export\.(?P<form>csv|xlsx)$", kpis.export, name="kpis_export"),
    path("kpis/<slug:name>/", kpis.kpi, name="kpi"),
    re_path(r"^kpis/(?P<name>\w+)/accounts\.(?P<form>csv|xlsx)$", kpis.export_accounts, name="kpi_export"),
    path("model/", model.model, name="model"),
    path("model/release/", model.release, name="model_release"),
    path("model/<int:pk>/", model.version, name="model_version"),
    path("model/<int:pk>/pin/", model.pin, name="model_pin"),
    path("api/docs/", api_docs.api_docs, name="api_docs"),
    path("settings/", settings.index, name="settings"),
    path("settings/definitions/", settings.definitions, name="definitions"),
    path("settings/definitions/new/", settings.definition, name="definition"),
    path("settings/tiers/", settings.tiers, name="tiers"),
    path("settings/health/", scorecard.health_weights, name="health_weights"),
    path("settings/cadence/", settings.cadence, name="cadence"),
    path("status/", status.status, name="status"),
    path("status/run/", status.run_progress, name="run_progress"),
    path("status/score/", status.score_now, name="score_now"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((pages, "retention"))),
    path("", include("accounts.urls")),
    path("", include("notifications.urls")),
    path("", include("pulsecheck.urls")),
    path("api/v1/", include("retention.api_urls")),
    path("admin/", admin.site.urls),
]
