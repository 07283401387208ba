"""What the frame around every page shows: the menu with its counts, how fresh the figures are, whose company it is."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.functional import SimpleLazyObject

from accounts.models import Role
from accounts.paths import path_to
from accounts.permissions import ADMINISTRATORS, CARERS, LEADERS, SignedIn, has_role
from accounts.selectors import get_company
from retention.selectors.frame import frame_counts, freshness, has_sample, latest_run

EVERYBODY = tuple(Role)
# (group, for whom it stands open, ((label, name of the page, icon, name of its count, who sees it), ...)).
# Every day's pages first and without a heading; a group that is not open unfolds, and is open on its own pages.
MENU = (
    (
        "",
        EVERYBODY,
        (
            ("Today", "retention:today", "sun", "", EVERYBODY),
            ("At risk", "retention:at_risk", "alert-triangle", "risky", CARERS),
            ("Handbacks", "pulsecheck:handbacks", "arrow-back-up", "handbacks", CARERS),
            ("Pulse checks", "pulsecheck:pulse_due", "heartbeat", "pulses", CARERS),
            ("Accounts", "retention:accounts", "building-store", "", EVERYBODY),
        ),
    ),
    (
        "What we owe",
        (Role.SALES_REP, Role.ACCOUNT_MANAGER, Role.MANAGER),
        (
            ("Promises", "pulsecheck:promises", "heart-handshake", "", CARERS),
            ("Issues", "pulsecheck:issues", "alert-circle", "", CARERS),
            ("Enquiries", "pulsecheck:enquiries", "help-circle", "", CARERS),
            ("Handoffs", "pulsecheck:handoffs", "transfer", "", CARERS),
            ("Fine print", "pulsecheck:fine_print", "file-text", "", CARERS),
        ),
    ),
    (
        "To talk about",
        (Role.MARKETING,),
        (
            ("Insights", "pulsecheck:insights", "bulb", "", EVERYBODY),
            ("Products", "pulsecheck:products", "packages", "", EVERYBODY),
            ("Surveys", "pulsecheck:surveys", "message-star", "", EVERYBODY),
            ("Message mix", "pulsecheck:message_mix", "messages", "", (*LEADERS, Role.MARKETING)),
            ("References", "retention:references", "quote", "", EVERYBODY),
        ),
    ),
    (
        "Together",
        (),
        (
            ("Meetings", "retention:meetings", "users-group", "", CARERS),
            ("Actions", "retention:actions", "list-check", "", CARERS),
            ("Two owners", "pulsecheck:owners", "users", "", CARERS),
            ("Disagreements", "retention:disagreements", "scale", "", CARERS),
            ("How we work", "pulsecheck:guide", "book", "", EVERYBODY),
        ),
    ),
    (
        "How we do",
        (Role.MANAGER, Role.MARKETING),
        (
            ("KPIs", "retention:kpis", "chart-line", "", (*LEADERS, Role.MARKETING)),
            (
                "My retention",
                "retention:my_retention",
                "user-heart",
                "",
                (Role.SALES_REP, Role.ACCOUNT_MANAGER),
            ),
            ("Team retention", "retention:team_retention", "user-heart", "", LEADERS),
            ("Collective pulse", "pulsecheck:collective", "chart-dots", "", EVERYBODY),
            ("Random audit", "pulsecheck:audit", "dice-5", "", EVERYBODY),
            ("Model", "retention:model", "target-arrow", "", EVERYBODY),
        ),
    ),
    (
        "Company",
        (Role.ADMINISTRATOR,),
        (
            ("Imports", "accounts:imports", "database-import", "", LEADERS),
            ("Connections", "accounts:connections", "plug-connected", "", LEADERS),
            ("Settings", "retention:settings", "settings", "", ADMINISTRATORS),
            ("Status", "retention:status", "activity", "", ADMINISTRATORS),
        ),
    ),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Read only when a page with the frame asks for it."""
    if getattr(request, "user", None) is None or not request.user.is_authenticated:
        return {"shell": {"company": "", "nav": ""}}
    return {"shell": SimpleLazyObject(lambda: _shell(cast(SignedIn, request)))}


def _shell(request: SignedIn) -> dict[str, Any]:
    run = latest_run()
    counts = frame_counts(request.user, run)
    return {
        "company": get_company().name,
        "counts": counts,
        "nav": render_to_string("components/nav.html", {"groups": _menu(request, counts)}, request),
        "freshness": freshness(run),
        "scored_at": run.published_at if run else None,
        "sample": has_sample(),
        "cares": has_role(request.user, *CARERS),
        "may_remove_sample": has_role(request.user, *ADMINISTRATORS),
        "inbox_url": path_to("notifications:inbox"),
    }


def _menu(request: SignedIn, counts: dict[str, int]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in menu_entries(request):
        groups.setdefault(entry["group"], []).append(entry | {"count": counts.get(entry["count"], 0)})
    open_for = {label: roles for label, roles, _pages in MENU}
    return [
        {
            "label": label,
            "items": items,
            "is_open": has_role(request.user, *open_for[label]) or _is_here(items),
        }
        for label, items in groups.items()
    ]


def _is_here(items: list[dict[str, Any]]) -> bool:
    return any(item["is_current"] for item in items)


def menu_entries(request: SignedIn) -> list[dict[str, Any]]:
    """The pages of the menu that the person may open."""
    entries = []
    for group, _open_for, pages in MENU:
        for label, name, icon, count, roles in pages:
            if has_role(request.user, *roles):
                path = path_to(name)
                is_current = request.path == path or (path != "/" and request.path.startswith(path))
                entries.append(
                    {"group": group, "label": label, "path": path, "icon": icon, "count": count}
                    | {"is_current": is_current}
                )
    return entries
