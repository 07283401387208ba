"""What the frame around every page shows: the menu with its counts, how fresh the figures are, whose company it is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.functional import SimpleLazyObject

from accounts.models import Role
from accounts.permissions import ADMINISTRATORS, CARERS, LEADERS, SignedIn, has_role
from accounts.selectors import get_company
from retention.selectors.frame import frame_counts, freshness, has_sample, latest_run

EVERYBODY = tuple(Role)
# (group, ((label, path, icon, name of its count, who sees it), ...))
MENU = (
    (
        "",
        (
            ("Today", "/", "sun", "", CARERS),
            ("At risk", "/at-risk/", "alert-triangle", "risky", CARERS),
            ("Accounts", "/accounts/", "building-store", "", EVERYBODY),
            ("Pulse checks", "/pulse/", "heartbeat", "pulses", CARERS),
            ("Handbacks", "/handbacks/", "arrow-back-up", "handbacks", CARERS),
        ),
    ),
    ("Know", (("KPIs", "/kpis/", "chart-line", "", (*LEADERS, Role.MARKETING)),)),
    (
        "Company",
        (
            ("Imports", "/imports/", "database-import", "", LEADERS),
            ("Settings", "/settings/", "settings", "", ADMINISTRATORS),
            ("Status", "/status/", "activity", "", ADMINISTRATORS),
        ),
    ),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Read only when a page with the frame asks for it."""
    if getattr(request, "user", None) is None or not request.user.is_authenticated:
        return {"shell": {"company": "", "nav": []}}
    return {"shell": SimpleLazyObject(lambda: _shell(cast(SignedIn, request)))}


def _shell(request: SignedIn) -> dict[str, Any]:
    run = latest_run()
    counts = frame_counts(request.user, run)
    return {
        "company": get_company().name,
        "counts": counts,
        "nav": _menu(request, counts),
        "freshness": freshness(run),
        "sample": has_sample(),
        "may_remove_sample": has_role(request.user, *ADMINISTRATORS),
        "inbox_url": "/inbox/" if _exists("/inbox/") else "",
    }


def _menu(request: SignedIn, counts: dict[str, int]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in menu_entries(request):
        groups.setdefault(entry["group"], []).append(entry | {"count": counts.get(entry["count"], 0)})
    return [{"label": label, "items": items} for label, items in groups.items()]


def menu_entries(request: SignedIn) -> list[dict[str, Any]]:
    """The pages of the menu that the person may open."""
    return [
        {
            "group": group,
            "label": label,
            "path": path,
            "icon": icon,
            "count": count,
            "is_current": request.path == path or (path != "/" and request.path.startswith(path)),
        }
        for group, entries in MENU
        for label, path, icon, count, roles in entries
        if has_role(request.user, *roles) and _exists(path)
    ]


@lru_cache(maxsize=64)
def _exists(path: str) -> bool:
    """The menu names only pages that this release has."""
    try:
        resolve(path)
    except Resolver404:
        return False
    return True
