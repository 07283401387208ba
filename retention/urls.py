"""Every address of the application."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from retention.views import search, today

pages: list[URLPattern | URLResolver] = [
    path("", today.today, name="today"),
    path("search/", search.search, name="search"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((pages, "retention"))),
    path("", include("accounts.urls")),
    path("admin/", admin.site.urls),
]
