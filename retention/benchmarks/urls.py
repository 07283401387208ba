"""All pages, and the floor they are measured against."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine
from django.urls import path

from accounts.models import Account
from retention.urls import handler500
from retention.urls import urlpatterns as pages

__all__ = ["handler500", "urlpatterns"]

BARE = Engine().from_string(
    "<!doctype html><title>Floor</title><table>{% for row in rows %}"
    "<tr><td>{{ row.external_id }}</td><td>{{ row.name }}</td><td>{{ row.currency }}</td></tr>{% endfor %}</table>"
)


@login_not_required
def floor(request: HttpRequest) -> HttpResponse:
    """The least a list can cost: fifty rows by their primary key through a bare template."""
    return HttpResponse(BARE.render(Context({"rows": Account.objects.order_by("pk")[:50]})))


urlpatterns = [path("floor/", floor), *pages]
