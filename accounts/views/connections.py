"""Connected systems: which there are, how one is let in, and how each fares."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from accounts import selectors_crm as selectors
from accounts.crm.errors import CrmError, SignInRefused
from accounts.crm.pkce import new_verifier
from accounts.crm.protocol import Way
from accounts.crm.systems import connector_class, known_systems
from accounts.forms_crm import AccessForm, ScheduleForm
from accounts.models import Connection
from accounts.permissions import ADMINISTRATORS, LEADERS, SignedIn, has_role, require_role
from accounts.services import connecting as services
from accounts.services.crm import webhook_address

SIGN_IN_SALT, SIGN_IN_SECONDS = "connected-systems", 1800
SIGN_IN_KEY = "connection-sign-in"
VERIFIER_KEY = "connection-verifier"


def connection_or_404(request: SignedIn, pk: int, *, to_work_with: bool = False) -> Connection:
    """A connection that the person may see; `to_work_with`: one whose connector is there."""
    connection = get_object_or_404(Connection.objects.visible_to(request.user), pk=pk)
    if to_work_with and selectors.system_card(connection.system) is None:
        raise Http404
    return connection


@require_GET
@require_role(*LEADERS)
def connection_list(request: SignedIn) -> HttpResponse:
    """Every connected system and how it fares."""
    context = {
        "standings": selectors.standings(request.user),
        "may_change": has_role(request.user, *ADMINISTRATORS),
    }
    return render(request, "accounts/connections/list.html", context)


@require_GET
@require_role(*ADMINISTRATORS)
def choose_system(request: SignedIn) -> HttpResponse:
    """What can be connected."""
    return render(request, "accounts/connections/choose.html", {"systems": selectors.system_cards()})


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def new_connection(request: SignedIn, system: str) -> HttpResponse:
    """Name and credentials of a new connection."""
    if system not in known_systems():
        raise Http404
    ways, way = _way(request, system)
    label = connector_class(system).label
    form = AccessForm(request.POST or None, way=way, initial={"name": _free_name(label)})
    if request.method == "POST" and form.is_valid():
        connection = services.begin_connection(
            form.cleaned_data["name"],
            system,
            options=form.given(is_credential=False),
            credentials=form.given(is_credential=True),
            user=request.user,
        )
        return _go_on(request, connection, way)
    return _access_page(request, form, ways, {"label": label, "system": system})


def _free_name(label: str) -> str:
    """The system's own name, or with a number where that is taken."""
    taken = set(Connection.objects.filter(name__startswith=label).values_list("name", flat=True))
    return next(name for n in range(1, 1000) if (name := label if n == 1 else f"{label} {n}") not in taken)


def _way(request: SignedIn, system: str, default: str = "") -> tuple[list[Way], Way]:
    """The ways in, and the one that was chosen."""
    ways = list(services.ways_of(system))
    wanted = request.GET.get("way", default)
    return ways, next((way for way in ways if way.name == wanted), ways[0])


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def credentials(request: SignedIn, pk: int) -> HttpResponse:
    """Other credentials for a connection; those it has are never shown."""
    connection = connection_or_404(request, pk, to_work_with=True)
    stored = services.stored_names(connection)
    ways, way = _way(request, connection.system, default=_way_used(connection, stored))
    form = AccessForm(request.POST or None, way=way, connection=connection, stored=frozenset(stored))
    if request.method == "POST" and form.is_valid():
        services.change_access(
            connection,
            options=form.given(is_credential=False),
            credentials=form.given(is_credential=True),
            user=request.user,
        )
        return _go_on(request, connection, way)
    context = {
        "connection": connection,
        "label": selectors.label_of(connection.system),
        "standing": selectors.standing_of(connection),
        "sign_in": _sign_in_address(request, connection, way)
        if way.signs_in and _can_sign_in(way, stored)
        else "",
    }
    return _access_page(request, form, ways, context)


def _way_used(connection: Connection, stored: set[str]) -> str:
    """The way whose credentials are stored."""
    fitting = [
        way.name
        for way in services.ways_of(connection.system)
        if all(ask.name in stored for ask in way.asks if ask.is_needed and ask.is_credential)
    ]
    return fitting[0] if fitting else ""


def _can_sign_in(way: Way, stored: set[str]) -> bool:
    return all(ask.name in stored for ask in way.asks if ask.is_needed and ask.is_credential)


def _access_page(
    request: SignedIn, form: AccessForm, ways: list[Way], context: dict[str, Any]
) -> HttpResponse:
    context |= {"form": form, "ways": ways, "way": form.way}
    if form.way.signs_in:
        context["back_address"] = request.build_absolute_uri(reverse("accounts:signed_in"))
    return render(request, "accounts/connections/access.html", context, status=422 if form.errors else 200)


def _go_on(request: SignedIn, connection: Connection, way: Way) -> HttpResponse:
    """To the page of the system where a person agrees; else try what was entered."""
    if way.signs_in:
        return redirect(reverse("accounts:credentials", args=[connection.pk]) + f"?way={way.name}")
    return _try(request, connection)


def _try(request: SignedIn, connection: Connection) -> HttpResponse:
    """Try the credentials, and go on to what comes next; back to them when they do not work."""
    connection.refresh_from_db()
    try:
        found = services.try_connection(connection)
    except SignInRefused as problem:
        messages.error(
            request,
            f"{connection.name} did not let us in. Check that everything was copied whole and has the rights that"
            f" stand beside the form. {problem}",
        )
        return redirect("accounts:credentials", connection.pk)
    except CrmError as problem:
        messages.error(request, f"{connection.name} could not be reached. {problem}")
        return redirect("accounts:credentials", connection.pk)
    messages.success(request, f"{connection.name} is connected. {found}")
    return redirect(next_page(connection))


def next_page(connection: Connection) -> str:
    """The next step of setting up; the page of the connection when it was set up before."""
    if connection.runs.filter(is_dry_run=False).exists():
        return reverse("accounts:connection", args=[connection.pk])
    if connection.runs.exists():
        return reverse("accounts:connection_preview", args=[connection.pk])
    has_tables = connector_class(connection.system).has_tables and not connection.options.get("tables")
    return reverse(
        "accounts:connection_tables" if has_tables else "accounts:connection_map", args=[connection.pk]
    )


@require_POST
@require_role(*ADMINISTRATORS)
def try_connection(request: SignedIn, pk: int) -> HttpResponse:
    """Try the credentials that are stored."""
    return _try(request, connection_or_404(request, pk, to_work_with=True))


# Signing in over there (OAuth) --------------------------------------------------------------------------------------


def _sign_in_address(request: SignedIn, connection: Connection, way: Way) -> str:
    """Where the person agrees. What they come back with has to carry the same word that their session remembers, beside
    the verifier, which never leaves us before."""
    word = request.session.setdefault(SIGN_IN_KEY, secrets.token_urlsafe(16))
    verifier = request.session.setdefault(VERIFIER_KEY, new_verifier())
    told = {"connection": connection.pk, "way": way.name, "word": word}
    state = signing.dumps(told, salt=SIGN_IN_SALT)
    try:
        return services.sign_in_address(
            connection, request.build_absolute_uri(reverse("accounts:signed_in")), state, verifier
        )
    except CrmError as problem:
        messages.error(request, str(problem))
        return ""


@never_cache
@require_GET
@require_role(*ADMINISTRATORS)
def signed_in(request: SignedIn) -> HttpResponse:
    """Back from the other system, with a code that is worth credentials."""
    verifier = request.session.pop(VERIFIER_KEY, "")
    connection, way = _returned(request)
    if connection is None:
        messages.error(request, "That sign-in was not begun here, or too long ago. Begin it again.")
        return redirect("accounts:connections")
    again = reverse("accounts:credentials", args=[connection.pk]) + f"?way={way}"
    code = request.GET.get("code", "")
    if not code:
        said = " ".join(request.GET.get("error_description", request.GET.get("error", "")).split())[:200]
        messages.error(request, f"{connection.name} was not connected: {said or 'nothing was agreed to'}.")
        return redirect(again)
    try:
        back = request.build_absolute_uri(reverse("accounts:signed_in"))
        services.take_code(connection, code, back, verifier, request.user)
    except CrmError as problem:
        messages.error(request, f"{connection.name} was not connected. {problem}")
        return redirect(again)
    return _try(request, connection)


def _returned(request: SignedIn) -> tuple[Connection | None, str]:
    """The connection that a sign-in was begun for, by this person in this session; and the way."""
    word = request.session.pop(SIGN_IN_KEY, "")
    try:
        state = signing.loads(request.GET.get("state", ""), salt=SIGN_IN_SALT, max_age=SIGN_IN_SECONDS)
    except signing.BadSignature:
        return None, ""
    if not word or not secrets.compare_digest(str(state["word"]), word):
        return None, ""
    found = Connection.objects.visible_to(request.user).filter(pk=state["connection"]).first()
    return found, str(state["way"])


# How one fares -------------------------------------------------------------------------------------------------------


@never_cache
@require_GET
@require_role(*LEADERS)
@vary_on_headers("HX-Request")
def connection_detail(request: SignedIn, pk: int) -> HttpResponseBase:
    """One connection: what runs now, what came in, what went back, what is due."""
    connection = connection_or_404(request, pk)
    standing = selectors.standing_of(connection)
    polls = request.headers.get("HX-Target") == "live"
    if polls and not standing.is_under_way:
        return HttpResponseClientRefresh()
    context = {
        "connection": connection,
        "standing": standing,
        "may_change": has_role(request.user, *ADMINISTRATORS),
        "progress": selectors.run_progress(standing.run) if standing.run else None,
    }
    if polls:
        return render(request, "accounts/connections/detail.html#live", context)
    return render(request, "accounts/connections/detail.html", context | _more(connection, standing))


def _more(connection: Connection, standing: selectors.Standing) -> dict[str, Any]:
    card = selectors.system_card(connection.system)
    return {
        "next_page": next_page(connection) if card and not standing.is_set_up else "",
        "connector": card,
        "figures": selectors.stream_figures(connection),
        "refusals": selectors.refusals(connection),
        "write_back": selectors.write_back_figures(connection),
        "write_back_fields": selectors.write_back_fields(),
        "runs": list(selectors.last_runs(connection)),
        "schedule": ScheduleForm(connection=connection),
        "stored": sorted(services.stored_names(connection)),
        "hook": webhook_address(connection),
    }
