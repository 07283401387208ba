"""Today: what is worth doing now; the first minutes of an empty installation."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.permissions import ADMINISTRATORS, CARERS, LEADERS, SignedIn, has_role, require_role
from accounts.selectors import company_today, get_company
from retention.selectors.disagreements import count_to_settle
from retention.selectors.first_steps import first_steps, has_accounts
from retention.selectors.frame import latest_run
from retention.selectors.today import today_of
from retention.selectors.today_team import saves_of, team_table, thanks_to, what_changed
from retention.services.sample_removal import remove_sample as remove
from retention.tasks import load_sample_company


@require_GET
def today(request: SignedIn) -> HttpResponse:
    """Home."""
    if not has_accounts():
        return render(request, "retention/first_minutes.html", _first_minutes(request))
    run, day = latest_run(), company_today()
    leads = has_role(request.user, *LEADERS)
    since, changed = what_changed(request.user, run) if run else (None, [])
    context: dict[str, Any] = {
        "run": run,
        "currency": get_company().currency,
        "today": day,
        "leads": leads,
        "duties": today_of(request.user, run, day),
        "team": team_table(request.user, run, day) if leads else [],
        "since": since,
        "changed": changed,
        "saves": saves_of(request.user, day, team=leads),
        "cares": has_role(request.user, *CARERS),
        "thanks": thanks_to(request.user, day),
        "disputed": count_to_settle(request.user) if leads else 0,
    }
    if has_role(request.user, *ADMINISTRATORS):
        steps = first_steps()
        context["steps"] = steps if any(s.is_needed and not s.is_done for s in steps) else []
    return render(request, "retention/today.html", context)


def _first_minutes(request: SignedIn) -> dict[str, Any]:
    return {
        "steps": first_steps(),
        "may_start": has_role(request.user, *ADMINISTRATORS),
        "may_import": has_role(request.user, *LEADERS),
    }


@require_POST
@require_role(*ADMINISTRATORS)
def load_sample(request: SignedIn) -> HttpResponse:
    """Ask a worker for the sample company; only into an empty installation."""
    if has_accounts():
        messages.error(
            request, "There are accounts already. The sample company only moves into an empty house."
        )
    else:
        load_sample_company.delay()
        messages.info(
            request, "The sample company is being made up: about a minute. Load this page again then."
        )
    return redirect("retention:today")


@require_POST
@require_role(*ADMINISTRATORS)
def remove_sample(request: SignedIn) -> HttpResponse:
    """Take the sample company out, with everything recorded about it."""
    messages.success(request, str(remove(request.user)))
    return redirect("retention:today")
