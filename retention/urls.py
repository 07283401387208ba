"""Every address of the application."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from retention.views import accounts, at_risk, search, today

pages: list[URLPattern | URLResolver] = [
    path("", today.today, name="today"),
    path("at-risk/", at_risk.at_risk, name="at_risk"),
    path("at-risk/act/", at_risk.act, name="at_risk_bulk"),
    re_path(r"^at-risk/export\.(?P<form>csv|xlsx)$", at_risk.export, name="at_risk_export"),
    path("accounts/", accounts.accounts, name="accounts"),
    path("accounts/<int:pk>/", accounts.account, name="account"),
    re_path(r"^accounts/export\.(?P<form>csv|xlsx)$", accounts.export, name="accounts_export"),
    path("search/", search.search, name="search"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((pages, "retention"))),
    path("", include("accounts.urls")),
    path("admin/", admin.site.urls),
]
