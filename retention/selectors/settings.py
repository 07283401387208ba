"""What the settings page says of each part: how it stands, and whether it needs a look."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.cache import cache

from accounts.models import (
    ChurnReason,
    Connection,
    DuplicatePair,
    ExchangeRate,
    OnboardingItem,
    Team,
    Term,
    User,
)
from accounts.models.merges import PairState
from accounts.selectors import get_company, unknown_currencies
from notifications.models import WebhookSubscription
from pulsecheck.models import CadencePolicy, TriggerRule
from pulsecheck.selectors.triggers import get_handback_policy
from retention.models import Definition
from retention.selectors.definitions import tier_policy_in_force
from retention.selectors.health import weights_in_force

# Looking through all orders takes a second where there are millions; the page of the rates always does.
MISSING_RATES, MISSING_SECONDS = "missing-rates", 120


@dataclass(frozen=True)
class Section:
    """One part of the settings; `warning` says what is missing."""

    label: str
    path: str
    icon: str
    about: str
    now: str
    warning: str = ""


def settings_overview() -> list[tuple[str, list[Section]]]:
    """The sections in groups."""
    return [
        ("Who", [_people(), _teams()]),
        ("The company", [_company(), _rates()]),
        (
            "Retention",
            [
                _definitions(),
                _tiers(),
                _health(),
                _cadence(),
                _reasons(),
                _terms(),
                _handbacks(),
                _onboarding(),
            ],
        ),
        ("Other systems", [_connections(), _duplicates(), _tokens(), _webhooks()]),
    ]


def _people() -> Section:
    active = User.objects.filter(is_active=True).count()
    return Section(
        "People",
        "/settings/people/",
        "users",
        "Who may sign in, in which role and team.",
        f"{active} may sign in",
    )


def _teams() -> Section:
    unled = Team.objects.filter(manager=None).count()
    warning = f"{unled} without a manager: nobody gets their overdue handbacks." if unled else ""
    return Section(
        "Teams",
        "/settings/teams/",
        "users-group",
        "People who share a manager.",
        f"{Team.objects.count()} teams",
        warning,
    )


def _company() -> Section:
    company = get_company()
    now = f"{company.name}, {company.currency}, {company.time_zone.replace('_', ' ')}"
    warning = "" if company.country else "No country: due days take no notice of public holidays."
    about = "Name, currency, time zone, public holidays."
    return Section("Company", "/settings/company/", "building", about, now, warning)


def _rates() -> Section:
    missing = sorted(cache.get_or_set(MISSING_RATES, unknown_currencies, MISSING_SECONDS) or ())
    warning = f"No rate for {', '.join(missing)}." if missing else ""
    count = ExchangeRate.objects.count()
    now = f"{count} {'rate' if count == 1 else 'rates'}" if count else "One currency"
    about = "What other currencies are worth in yours."
    return Section("Exchange rates", "/settings/rates/", "currency", about, now, warning)


def _definitions() -> Section:
    newest = Definition.objects.order_by("-created_at").first()
    now = f"Changed {newest.created_at.day} {newest.created_at:%b %Y}" if newest else "As shipped"
    about = "When a customer counts as having left, per segment and kind of billing."
    return Section("Definition of leaving", "/settings/definitions/", "book-2", about, now)


def _tiers() -> Section:
    policy = tier_policy_in_force()
    now = f"At risk from {policy.at_risk_from * 100:.3g} %, watched from {policy.watch_from * 100:.3g} %"
    return Section(
        "Tiers", "/settings/tiers/", "stairs", "Where at risk, quiet and the other tiers begin.", now
    )


def _health() -> Section:
    in_force = weights_in_force()
    own = len(in_force) - 1
    version = in_force[""].version
    now = f"Version {version}" if version else "As shipped"
    now += f", {own} {'segment' if own == 1 else 'segments'} with their own" if own else ""
    about = "What buying, service, promises and the other factors weigh."
    return Section("Health", "/settings/health/", "heart-rate-monitor", about, now)


def _cadence() -> Section:
    days = dict(
        CadencePolicy.objects.filter(is_active=True, segment="", billing_mode="", value_from=0).values_list(
            "tier", "every_days"
        )
    )
    now = f"At risk every {days['at_risk']} days" if "at_risk" in days else "None"
    return Section("Cadence", "/settings/cadence/", "calendar-repeat", "How often we look in on whom.", now)


def _handbacks() -> Section:
    policy = get_handback_policy()
    muted = TriggerRule.objects.filter(muted_at__isnull=False).count()
    warning = (
        f"{muted} {'trigger has muted itself' if muted == 1 else 'triggers have muted themselves'}."
        if muted
        else ""
    )
    about = "What opens them, time to answer, and how many a person gets."
    now = f"{policy.answer_hours} office hours to answer"
    return Section("Handbacks", "/settings/handbacks/", "arrow-back-up", about, now, warning)


def _reasons() -> Section:
    active = ChurnReason.objects.filter(is_active=True).count()
    about = "What can be chosen when a customer is lost."
    return Section(
        "Churn reasons", "/settings/churn-reasons/", "message-question", about, f"{active} to choose from"
    )


def _webhooks() -> Section:
    off = WebhookSubscription.objects.exclude(disabled_because="").count()
    warning = f"{off} turned off because nothing arrived there." if off else ""
    about = "Addresses of other programs that are told when something happens."
    count = WebhookSubscription.objects.count()
    return Section("Webhooks", "/settings/webhooks/", "api", about, f"{count} told" if count else "", warning)


def _tokens() -> Section:
    return Section(
        "API tokens", "/settings/tokens/", "api", "Keys for programs that read or write records.", ""
    )


def _connections() -> Section:
    count = Connection.objects.count()
    troubled = Connection.objects.exclude(message="").values_list("name", flat=True)
    return Section(
        "Connections",
        "/connections/",
        "plug-connected",
        "The CRM or shop your records come from, and scores go back to.",
        f"{count} connected" if count else "None yet",
        f"{', '.join(troubled)} needs new credentials." if troubled else "",
    )


def _duplicates() -> Section:
    waiting = DuplicatePair.objects.filter(state=PairState.WAITING).count()
    return Section(
        "Duplicates",
        "/duplicates/",
        "arrows-join",
        "Accounts that may be one customer, from one system or two.",
        f"{waiting:,} to look at" if waiting else "",
    )


def _terms() -> Section:
    count = Term.objects.filter(is_active=True).count()
    return Section(
        "Fine print",
        "/settings/terms/",
        "file-text",
        "Which terms have to be explained with every contract.",
        f"{count} terms" if count else "None",
    )


def _onboarding() -> Section:
    count = OnboardingItem.objects.filter(is_active=True).count()
    return Section(
        "Onboarding",
        "/settings/onboarding/",
        "list-check",
        "What every new customer goes through once a deal is handed over.",
        f"{count} steps" if count else "No steps",
    )
