"""Retention meetings with their agenda, minutes and actions; and the list of actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Account, Team
from accounts.paging import query_url
from accounts.permissions import CARERS, SignedIn, require_role
from accounts.selectors import company_today
from pulsecheck.cadence import day_words
from pulsecheck.errors import CareError
from pulsecheck.forms.meetings import (
    ActionForm,
    ChangeActionForm,
    FollowUpForm,
    HoldForm,
    MeetingForm,
    MinutesForm,
    meeting_initial,
)
from pulsecheck.models import Action, RetentionMeeting
from pulsecheck.services import actions as action_services
from pulsecheck.services import meetings as services
from retention.selectors.agenda import accounts_of, for_reader, make_agenda
from retention.selectors.frame import latest_run
from retention.selectors.meetings import (
    STATES,
    WHOSE,
    ActionFilters,
    action_page,
    count_actions,
    held_meetings,
    meetable_teams,
    planned_meetings,
)
from retention.views.account import go_back
from retention.views.chips import Option

Forms = dict[str, forms.Form]


@require_GET
@require_role(*CARERS)
def meetings(request: SignedIn) -> HttpResponse:
    """Meetings to come and held, and how to set one."""
    context = {
        "planned": planned_meetings(request.user),
        "held": held_meetings(request.user),
        "teams": meetable_teams(request.user),
        "counts": count_actions(request.user, company_today()),
        "today": company_today(),
    }
    return render(request, "retention/meetings.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def new_meeting(request: SignedIn) -> HttpResponse:
    """Set a meeting about an account one sees (?account=) or a team one leads (?team=)."""
    account, team = _about(request)
    planned = RetentionMeeting.objects.planned().filter(account=account, team=team).first()
    if planned is not None:
        messages.info(request, f"One is planned already, for {day_words(planned.held_on)}. Here it is.")
        return redirect("retention:meeting", planned.pk)
    form = MeetingForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.set_meeting(request.user, account=account, team=team, **form.cleaned_data)
        except CareError as problem:
            form.add_error(None, str(problem))
        else:
            messages.success(request, f"Set for {day_words(made.held_on)}. Whoever should be there was told.")
            return redirect("retention:meeting", made.pk)
    context = {"form": form, "account": account, "team": team}
    return render(request, "retention/new_meeting.html", context, status=422 if form.errors else 200)


def _about(request: SignedIn) -> tuple[Account | None, Team | None]:
    account, team = request.GET.get("account", ""), request.GET.get("team", "")
    if account.isdecimal() and len(account) < 19:
        return get_object_or_404(Account.objects.visible_to(request.user), pk=int(account)), None
    found = [t for t in meetable_teams(request.user) if str(t.pk) == team]
    if not found:
        raise Http404
    return None, found[0]


def _visible(request: SignedIn, pk: int) -> RetentionMeeting:
    rows = RetentionMeeting.objects.visible_to(request.user).select_related("account", "team", "chair")
    return get_object_or_404(rows, pk=pk)


@require_GET
@require_role(*CARERS)
def meeting(request: SignedIn, pk: int) -> HttpResponse:
    """One meeting: agenda, minutes, actions."""
    return _show(request, _visible(request, pk))


def _show(
    request: SignedIn, shown: RetentionMeeting, bound: Forms | None = None, status: int | None = None
) -> HttpResponse:
    """The page; `bound` holds a form that was not right, which stays open with its errors."""
    today = company_today()
    agenda = make_agenda(shown, today, latest_run()) if shown.is_open else shown.agenda
    read = for_reader(agenda, request.user)
    next_on = services.proposed_next_day(shown) if shown.is_open else None
    people = services.people_of(shown)
    blank: Forms = {
        "move": MeetingForm(initial=meeting_initial(shown), auto_id="move_%s"),
        "minutes": MinutesForm(
            initial={"minutes": shown.minutes, "version": shown.minutes_version}, auto_id="minutes_%s"
        ),
        "action": _action_form(request, shown),
        "hold": HoldForm(people=people, next_on=next_on, auto_id="hold_%s"),
    }
    shown_forms = blank | (bound or {})
    for form in shown_forms.values():
        if isinstance(form, ActionForm):
            form.offer(accounts_of(read))
    actions = Action.objects.filter(meeting=shown).select_related("owner", "account", "done_by")
    before = services.open_actions_before(shown) if shown.is_open else []
    context = {
        "meeting": shown,
        "agenda": read,
        "forms": shown_forms,
        "people": people,
        "attended": list(shown.attended.all()) if not shown.is_open else [],
        "actions": list(actions),
        "seen": set(_seen(request, [a.account_id for a in actions if a.account_id])),
        "before": before,
        "changeable": _changeable(request, [*actions, *before]),
        "following": RetentionMeeting.objects.filter(follows=shown).first(),
        "is_late": shown.is_late(today),
        "about": request.GET.get("about", ""),
        "today": today,
    }
    return render(request, "retention/meeting.html", context, status=status or (422 if bound else 200))


def _seen(request: SignedIn, ids: list[int]) -> QuerySet[Any]:
    return Account.objects.visible_to(request.user).filter(pk__in=ids).values_list("pk", flat=True)


def _action_form(request: SignedIn, shown: RetentionMeeting, data: QueryDict | None = None) -> ActionForm:
    """At a meeting of a team an action can be about any account that is seen; the one of ?about= is chosen at first."""
    accounts = None if shown.account_id else Account.objects.visible_to(request.user)
    about = {"account": request.GET.get("about", "")}
    return ActionForm(data, initial=about, accounts=accounts, auto_id="action_%s")


@require_POST
@require_role(*CARERS)
def write_minutes(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    form = MinutesForm(request.POST, auto_id="minutes_%s")
    if not form.is_valid():
        return _show(request, shown, {"minutes": form})
    try:
        services.write_minutes(
            shown, request.user, form.cleaned_data["minutes"], form.cleaned_data["version"]
        )
    except services.MinutesConflict as conflict:
        shown.refresh_from_db()
        both = f"{shown.minutes}\n\n--- yours ---\n{form.cleaned_data['minutes']}"
        merged = MinutesForm(
            initial={"minutes": both, "version": shown.minutes_version}, auto_id="minutes_%s"
        )
        messages.error(request, str(conflict))
        return _show(request, shown, {"minutes": merged}, status=409)
    messages.success(request, "Minutes saved.")
    return redirect(f"{reverse('retention:meeting', args=[pk])}#minutes")


@require_POST
@require_role(*CARERS)
def agree_action(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    form = _action_form(request, shown, request.POST)
    if not form.is_valid():
        return _show(request, shown, {"action": form})
    try:
        made = action_services.agree_action(request.user, meeting=shown, **form.cleaned_data)
    except CareError as problem:
        form.add_error("owner", str(problem))
        return _show(request, shown, {"action": form})
    messages.success(request, f"Agreed: {made.owner} does it by {day_words(made.due_on)}.")
    return redirect(f"{reverse('retention:meeting', args=[pk])}#actions")


@require_POST
@require_role(*CARERS)
def hold_meeting(request: SignedIn, pk: int) -> HttpResponse:
    """It was held: keep the agenda as it stands, set the next one."""
    shown = _visible(request, pk)
    people = services.people_of(shown)
    form = HoldForm(request.POST, people=people, next_on=None, auto_id="hold_%s")
    if not form.is_valid():
        return _show(request, shown, {"hold": form})
    agenda = make_agenda(shown, company_today(), latest_run())
    try:
        following = services.hold_meeting(shown, request.user, agenda=agenda, **form.cleaned_data)
    except CareError as problem:
        messages.error(request, str(problem))
        return _show(request, _visible(request, pk), status=409)
    said = f"The next one is on {day_words(following.held_on)}." if following else "No next one is set."
    messages.success(request, f"Held. The agenda is kept as it stands. {said}")
    return redirect("retention:meeting", pk)


@require_POST
@require_role(*CARERS)
def move_meeting(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    form = MeetingForm(request.POST, auto_id="move_%s")
    if not form.is_valid():
        return _show(request, shown, {"move": form})
    return _change(
        request, pk, lambda: services.move_meeting(shown, request.user, **form.cleaned_data), "Moved."
    )


@require_POST
@require_role(*CARERS)
def cancel_meeting(request: SignedIn, pk: int) -> HttpResponse:
    shown = _visible(request, pk)
    return _change(request, pk, lambda: services.cancel_meeting(shown, request.user), "Cancelled.")


def _change(request: SignedIn, pk: int, act: Any, said: str) -> HttpResponse:
    try:
        act()
    except CareError as problem:
        messages.error(request, str(problem))
        return _show(request, _visible(request, pk), status=409)
    messages.success(request, said)
    return redirect("retention:meeting", pk)


# ── actions ────────────────────────────────────────────────────────────
@require_GET
@require_role(*CARERS)
def actions(request: SignedIn) -> HttpResponse:
    """Everything agreed, the earliest due first."""
    return _list(request)


def _list(request: SignedIn, bound: FollowUpForm | None = None, of: int = 0) -> HttpResponse:
    filters, today = ActionFilters.from_query(request.GET.dict(), request.user), company_today()
    page = action_page(request.user, filters, today)
    context = {
        "page": page,
        "filters": filters,
        "whose": _options(filters.query, "whose", WHOSE, filters.whose),
        "states": _options(filters.query, "state", STATES, filters.state),
        "counts": count_actions(request.user, today),
        "seen": set(_seen(request, [a.account_id for a in page.rows if a.account_id])),
        "changeable": _changeable(request, page.rows),
        "meetings": set(
            RetentionMeeting.objects.visible_to(request.user)
            .filter(pk__in=[a.meeting_id for a in page.rows if a.meeting_id])
            .values_list("pk", flat=True)
        ),
        "follow_up": FollowUpForm(auto_id=False),
        "bound": bound,
        "bound_of": of,
        "today": today,
    }
    return render(request, "retention/actions.html", context, status=422 if bound else 200)


def _options(query: dict[str, str], key: str, words: dict[str, str], value: str) -> list[Option]:
    return [
        Option(label, query_url(query, **{key: code}) or "?", code == value) for code, label in words.items()
    ]


def _changeable(request: SignedIn, actions: Iterable[Action]) -> set[int]:
    """Of these, what is not done and the reader may change."""
    open_ones = (action for action in actions if action.done_at is None)
    return {action.pk for action in open_ones if action_services.may_change(action, request.user)}


def _action(request: SignedIn, pk: int) -> Action:
    return get_object_or_404(Action.objects.visible_to(request.user), pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def change_action(request: SignedIn, pk: int) -> HttpResponse:
    """Its words, its owner, its day; for whoever does it, asked for it or leads."""
    action = _action(request, pk)
    if not action_services.may_change(action, request.user):
        raise Http404
    form = ChangeActionForm(request.POST or None, action=action)
    if request.method == "POST" and form.is_valid():
        try:
            action_services.change_action(action, request.user, **form.cleaned_data)
        except CareError as problem:
            form.add_error(None, str(problem))
        else:
            messages.success(request, "Changed.")
            return go_back(request, f"{reverse('retention:actions')}#a{pk}")
    context = {
        "form": form,
        "action": action,
        "back": request.POST.get("back") or request.GET.get("back", ""),
    }
    return render(request, "retention/change_action.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*CARERS)
def complete_action(request: SignedIn, pk: int) -> HttpResponse:
    action = _action(request, pk)
    if not action_services.may_change(action, request.user):
        messages.error(request, f"{action.owner} does this: ask them whether it is done.")
        return go_back(request, reverse("retention:actions"))
    action_services.complete_action(action, request.user)
    undo = "undo:" + reverse("retention:reopen_action", args=[pk])
    messages.success(request, "Done. Thank you.", extra_tags=undo)
    return go_back(request, reverse("retention:actions"))


@require_POST
@require_role(*CARERS)
def reopen_action(request: SignedIn, pk: int) -> HttpResponse:
    action = _action(request, pk)
    if not action_services.may_change(action, request.user):
        messages.error(request, f"{action.owner} does this: ask them whether it is done.")
        return go_back(request, reverse("retention:actions"))
    action_services.reopen_action(action, request.user)
    messages.success(request, "Open again.")
    return go_back(request, reverse("retention:actions"))


@require_POST
@require_role(*CARERS)
def follow_up_action(request: SignedIn, pk: int) -> HttpResponse:
    """Whether an improvement has helped."""
    action = _action(request, pk)
    form = FollowUpForm(request.POST, auto_id=False)
    if not form.is_valid():
        return _list(request, form, pk)
    try:
        action_services.follow_up_action(action, request.user, **form.cleaned_data)
    except CareError as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, "Written down.")
    return go_back(request, f"{reverse('retention:actions')}?state=improvements")
