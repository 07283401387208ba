"""Settings: who may sign in, in which role and team."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import selectors
from accounts.forms import DepartureForm, NewPersonForm, PersonForm, TeamForm
from accounts.models import Team, User
from accounts.permissions import ADMINISTRATORS, SignedIn, require_role
from accounts.services import people as services
from accounts.services.people import PeopleError


@require_GET
@require_role(*ADMINISTRATORS)
def people(request: SignedIn) -> HttpResponse:
    """Everybody of ours."""
    text, former = request.GET.get("q", "").replace("\0", "").strip(), request.GET.get("former") == "1"
    context = {
        "people": selectors.people(text, with_former=former),
        "former": former,
        "text": text,
        "former_count": selectors.people().filter(is_active=False).count(),
    }
    return render(request, "accounts/settings/people.html", context)


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def new_person(request: SignedIn) -> HttpResponse:
    """Add somebody, with a first password or a link to choose one."""
    form = NewPersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = services.create_user(request.user, **form.cleaned_data)
        messages.success(request, f"{user.name} is added.")
        if not form.cleaned_data["password"]:
            return _show_link(request, user)
        return redirect("accounts:people")
    context = {"form": form, "title": "Add a person", "back": "accounts:people"}
    return render(request, "accounts/settings/form.html", context, status=422 if form.errors else 200)


def _show_link(request: SignedIn, user: User) -> HttpResponse:
    """The only time the link is shown."""
    link = request.build_absolute_uri(services.set_password_path(user))
    response = render(request, "accounts/settings/link.html", {"person": user, "link": link})
    response["Cache-Control"] = "no-store"
    return response


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def person(request: SignedIn, pk: int) -> HttpResponse:
    """Details, role and team of one person, and what can be done about their account."""
    user = get_object_or_404(User.objects.select_related("team"), pk=pk)
    form = PersonForm(request.POST or None, instance=User.objects.get(pk=pk))
    if request.method == "POST" and form.is_valid():
        try:
            services.change_user(request.user, user, form.cleaned_data)
        except PeopleError as problem:
            form.add_error("role", str(problem))
        else:
            messages.success(request, "Saved.")
            return redirect("accounts:people")
    context = {
        "person": user,
        "form": form,
        "won": user.accounts_won.count(),
        "cares_for": user.accounts_managed.count(),
        "manages": user.managed_teams.all(),
    }
    return render(request, "accounts/settings/person.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*ADMINISTRATORS)
def person_link(request: SignedIn, pk: int) -> HttpResponse:
    """A new link to choose a password; the one before stops working when a password is set."""
    user = get_object_or_404(User, pk=pk, is_active=True)
    return _show_link(request, user)


@require_POST
@require_role(*ADMINISTRATORS)
def disable_person(request: SignedIn, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    try:
        services.disable_user(request.user, user)
    except PeopleError as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, f"{user.name} can no longer sign in.")
    return redirect("accounts:person", pk)


@require_POST
@require_role(*ADMINISTRATORS)
def enable_person(request: SignedIn, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    services.enable_user(request.user, user)
    messages.success(request, f"{user.name} can sign in again.")
    return redirect("accounts:person", pk)


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def person_left(request: SignedIn, pk: int) -> HttpResponse:
    """Somebody has left the company: when, and who takes over."""
    user = get_object_or_404(User, pk=pk)
    form = DepartureForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            handed = services.record_departure(request.user, user, **form.cleaned_data)
        except PeopleError as problem:
            form.add_error(None, str(problem))
        else:
            heir = form.cleaned_data["heir"]
            rest = f" {heir.name} now looks after {handed.accounts:,} accounts." if heir else ""
            messages.success(request, f"{user.name} has left.{rest}")
            return redirect("accounts:people")
    context = {"person": user, "form": form, "cares_for": user.accounts_managed.count()}
    return render(request, "accounts/settings/left.html", context, status=422 if form.errors else 200)


@require_GET
@require_role(*ADMINISTRATORS)
def teams(request: SignedIn) -> HttpResponse:
    return render(request, "accounts/settings/teams.html", {"teams": selectors.teams()})


@require_http_methods(["GET", "POST"])
@require_role(*ADMINISTRATORS)
def team(request: SignedIn, pk: int | None = None) -> HttpResponse:
    """A new team, or one to change."""
    found = get_object_or_404(Team, pk=pk) if pk else Team()
    form = TeamForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        services.save_team(request.user, form.save(commit=False))
        messages.success(request, "Saved.")
        return redirect("accounts:teams")
    context = {
        "form": form,
        "title": found.name if pk else "Add a team",
        "back": "accounts:teams",
        "team": found if pk else None,
        "members": found.members.all() if pk else [],
    }
    return render(request, "accounts/settings/team.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*ADMINISTRATORS)
def delete_team(request: SignedIn, pk: int) -> HttpResponse:
    found = get_object_or_404(Team, pk=pk)
    services.delete_team(request.user, found)
    messages.success(request, f"Team {found.name} is gone; its people stay.")
    return redirect("accounts:teams")


class SetPassword(PasswordResetConfirmView):
    """Whoever holds the link chooses a password, once."""

    template_name = "registration/set_password.html"
    success_url = reverse_lazy("accounts:sign_in")
    reset_url_token = "choose"  # noqa: S105 - takes the place of the token in the address bar

    def form_valid(self, form: object) -> HttpResponse:
        messages.success(self.request, "Your password is set. Sign in with it.")
        return super().form_valid(form)  # type: ignore[arg-type]
