"""Who may open what: every address of the application, with GET and POST, for everybody.

The addresses come from the url resolver, and one that has no row in TABLE fails. A row says who may GET and who may
POST; everybody else must get what a stranger gets: 404 on a page, the sign-in page when not signed in, and on the API
404 (not theirs), 403 (not their role's business) or 401. Whoever may must not be refused, whatever else the answer says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse
from django.utils import timezone

from accounts.links import sign_key
from accounts.models import (
    ApiToken,
    ChurnReason,
    Connection,
    Department,
    ExchangeRate,
    ImportRun,
    OnboardingItem,
    PromisePage,
    Term,
)
from accounts.models.api import digest_of
from accounts.models.imports import ImportState
from notifications.services.webhooks import send_test
from pulsecheck.models import CalendarFeed, ProofPage, PulseTheme, TriggerRule
from pulsecheck.services.messages import recount_messages
from retention.services.kpis import record_kpis
from tests.factories import (
    AbsenceFactory,
    AccountFactory,
    AccountMemberFactory,
    ActionFactory,
    AuditPickFactory,
    Cast,
    ContactFactory,
    ContractFactory,
    DisagreementFactory,
    EnquiryFactory,
    FittedModelFactory,
    HandbackFactory,
    InsightFactory,
    InteractionFactory,
    IssueFactory,
    MeetingFactory,
    NotificationFactory,
    OnboardingStepFactory,
    OrderFactory,
    OrderLineFactory,
    ProductFactory,
    PromiseFactory,
    PulseCheckFactory,
    ReferenceFactory,
    RoleSwapFactory,
    ScoreFactory,
    SurveyAnswerFactory,
    TouchpointFactory,
    date_ago,
    make_cast,
    make_connection,
    make_merge,
    make_webhook,
)

# ── everybody ──────────────────────────────────────────────────────────
SIGNED_IN = frozenset(
    "owner teammate manager stranger other_manager marketing administrator".split()  # noqa: SIM905
)
# Not signed in as far as pages go: a visitor, somebody who may not sign in any more, and programs with a token.
OUTSIDE = frozenset({"anonymous", "disabled", "token", "stranger_token", "disabled_token"})
EVERYBODY = SIGNED_IN | OUTSIDE

NOBODY: frozenset[str] = frozenset()
CARERS = SIGNED_IN - {"marketing"}
LEADERS = frozenset({"manager", "other_manager", "administrator"})
ADMINISTRATORS = frozenset({"administrator"})
# Sales reps and account managers: each sees their own figures and nobody else's.
WITH_ACCOUNTS = frozenset({"owner", "teammate", "stranger"})
KPI_READERS = LEADERS | {"marketing"}
# Who sees the account of the cast, and who of them may act on it.
STRANGE = frozenset({"stranger", "other_manager", "stranger_token"})
SEE_IT = SIGNED_IN - STRANGE
CARE_FOR_IT = SEE_IT - {"marketing"}
LEAD_IT = SEE_IT & LEADERS
ITS_OWNER = frozenset({"owner"})
SEES_THE_ABSENCE = frozenset({"teammate", "manager", "administrator"})

API_ALL = SIGNED_IN | {"token", "stranger_token"}
API_CARERS = API_ALL - {"marketing"}
API_SEE_IT = SEE_IT | {"token"}
API_CARE_FOR_IT = CARE_FOR_IT | {"token"}
# Whoever owns it and whoever leads: a colleague who sees the account may not.
CHANGE_THE_ACTION = API_CARE_FOR_IT - {"teammate"}


# The secret of somebody's calendar feed, which needs no sign-in.
FEED = "a-secret-of-the-calendar"
# The address of a connection's webhooks: anybody may call it, and is told that the call is not genuine.
HOOK = "an-address-nobody-guesses-1234567"


@dataclass(frozen=True)
class Row:
    """`get` and `post` name who may; `record` is the kind of record the address needs ("?account": in its query)."""

    get: frozenset[str] = NOBODY
    post: frozenset[str] = NOBODY
    record: str = ""
    arguments: tuple[tuple[str, Any], ...] = ()
    is_api: bool = False
    of_role: bool = False  # refused by role alone, so 403 does not tell whether a record is there


def page(
    get: frozenset[str] = NOBODY, post: frozenset[str] = NOBODY, record: str = "", **arguments: Any
) -> Row:
    return Row(get, post, record, tuple(arguments.items()))


def api(
    get: frozenset[str] = NOBODY,
    post: frozenset[str] = NOBODY,
    record: str = "",
    *,
    of_role: bool = False,
    **arguments: Any,
) -> Row:
    return Row(get, post, record, tuple(arguments.items()), is_api=True, of_role=of_role)


TABLE: dict[str, Row] = {
    # signing in and out, health
    "accounts:sign_in": page(EVERYBODY, EVERYBODY),
    "accounts:sign_out": page(NOBODY, SIGNED_IN),
    "accounts:set_password": page(EVERYBODY, EVERYBODY, uidb64="MQ", token="abc-def"),
    "retention:healthz": page(EVERYBODY, NOBODY),
    "retention:readyz": page(EVERYBODY, NOBODY),
    # every day
    "retention:today": page(SIGNED_IN, NOBODY),
    "retention:search": page(SIGNED_IN, NOBODY),
    "retention:suggest": page(SIGNED_IN, NOBODY),
    "retention:at_risk": page(CARERS, NOBODY),
    "retention:at_risk_bulk": page(NOBODY, CARERS),
    "retention:at_risk_export": page(CARERS, NOBODY, form="csv"),
    "retention:accounts": page(SIGNED_IN, NOBODY),
    "retention:accounts_export": page(SIGNED_IN, NOBODY, form="csv"),
    # one account
    "retention:account": page(SEE_IT, NOBODY, "account"),
    "retention:log_interaction": page(CARE_FOR_IT, CARE_FOR_IT, "account"),
    "retention:make_promise": page(CARE_FOR_IT, CARE_FOR_IT, "account"),
    "retention:open_issue": page(CARE_FOR_IT, CARE_FOR_IT, "account"),
    "retention:put_off": page(NOBODY, CARE_FOR_IT, "account"),
    "retention:dismiss": page(NOBODY, CARE_FOR_IT, "account"),
    "retention:log_enquiry": page(CARE_FOR_IT, CARE_FOR_IT, "account"),
    "retention:contact_left": page(NOBODY, CARE_FOR_IT, "contact"),
    # handbacks and pulse checks
    "pulsecheck:handbacks": page(CARERS, NOBODY),
    "pulsecheck:new_handback": page(CARE_FOR_IT, CARE_FOR_IT, "?account"),
    "pulsecheck:handback": page(CARE_FOR_IT, NOBODY, "handback"),
    "pulsecheck:accept": page(NOBODY, CARE_FOR_IT, "handback"),
    "pulsecheck:decline": page(NOBODY, CARE_FOR_IT, "handback"),
    "pulsecheck:reassign": page(NOBODY, LEAD_IT, "handback"),
    "pulsecheck:log_attempt": page(NOBODY, CARE_FOR_IT, "handback"),
    "pulsecheck:close": page(NOBODY, CARE_FOR_IT, "handback"),
    "pulsecheck:counter_sign": page(NOBODY, CARE_FOR_IT, "handback"),
    "pulsecheck:settle_reason": page(NOBODY, CARE_FOR_IT, "handback"),
    "pulsecheck:say_thanks": page(NOBODY, CARE_FOR_IT, "handback"),
    "pulsecheck:triggers": page(CARERS, NOBODY),
    "pulsecheck:unmute": page(NOBODY, ADMINISTRATORS, "trigger"),
    "pulsecheck:handback_settings": page(ADMINISTRATORS, ADMINISTRATORS),
    "pulsecheck:pulse_due": page(CARERS, NOBODY),
    "pulsecheck:calendar": page(CARERS, NOBODY),
    "pulsecheck:coverage": page(CARERS, NOBODY),
    "pulsecheck:touchpoint": page(CARE_FOR_IT, NOBODY, "touchpoint"),
    "pulsecheck:move": page(NOBODY, CARE_FOR_IT, "touchpoint"),
    "pulsecheck:absences": page(CARERS, CARERS),
    "pulsecheck:end_absence": page(NOBODY, SEES_THE_ABSENCE, "absence"),
    "pulsecheck:feed_settings": page(CARERS, NOBODY),
    "pulsecheck:new_feed": page(NOBODY, CARERS),
    "pulsecheck:revoke_feed": page(NOBODY, CARERS),
    "pulsecheck:feed": page(EVERYBODY, NOBODY, secret=FEED),
    "pulsecheck:skip": page(CARE_FOR_IT, CARE_FOR_IT, "touchpoint"),
    "pulsecheck:snooze": page(CARE_FOR_IT, CARE_FOR_IT, "touchpoint"),
    "pulsecheck:unsnooze": page(NOBODY, CARE_FOR_IT, "touchpoint"),
    "pulsecheck:finish_step": page(NOBODY, CARE_FOR_IT, "pulse"),
    "pulsecheck:log_pulse": page(CARE_FOR_IT, CARE_FOR_IT, "account"),
    # who vouches for us
    "retention:references": page(SIGNED_IN, NOBODY),
    "retention:consent": page(CARE_FOR_IT, CARE_FOR_IT, "account"),
    "retention:revoke_consent": page(NOBODY, CARE_FOR_IT, "reference"),
    "retention:new_proof_page": page(KPI_READERS, KPI_READERS),
    "retention:turn_proof_page": page(NOBODY, KPI_READERS, "proof_page"),
    "retention:proof_page": page(
        EVERYBODY, NOBODY, token=sign_key(ProofPage.LINK, "known-to-whoever-has-the-link")
    ),
    # how our own company does
    "pulsecheck:collective": page(SIGNED_IN, NOBODY),
    "pulsecheck:improve": page(NOBODY, LEADERS),
    # what customers hear from us
    "pulsecheck:message_mix": page(KPI_READERS, NOBODY),
    "pulsecheck:message_accounts": page(SIGNED_IN, NOBODY),
    "pulsecheck:messages": page(SIGNED_IN, NOBODY),
    "pulsecheck:account_messages": page(SEE_IT, NOBODY, "account"),
    "pulsecheck:say_class": page(NOBODY, CARE_FOR_IT, "interaction"),
    # products
    "pulsecheck:products": page(SIGNED_IN, NOBODY),
    "pulsecheck:account_products": page(SEE_IT, NOBODY, "account"),
    # retention meetings and actions
    "retention:meetings": page(CARERS, NOBODY),
    "retention:new_meeting": page(CARE_FOR_IT, CARE_FOR_IT, "?account"),
    "retention:meeting": page(CARE_FOR_IT, NOBODY, "meeting"),
    "retention:write_minutes": page(NOBODY, CARE_FOR_IT, "meeting"),
    "retention:agree_action": page(NOBODY, CARE_FOR_IT, "meeting"),
    "retention:hold_meeting": page(NOBODY, CARE_FOR_IT, "meeting"),
    "retention:move_meeting": page(NOBODY, CARE_FOR_IT, "meeting"),
    "retention:cancel_meeting": page(NOBODY, CARE_FOR_IT, "meeting"),
    "retention:actions": page(CARERS, NOBODY),
    "retention:change_action": page(CARE_FOR_IT - {"teammate"}, CARE_FOR_IT - {"teammate"}, "action"),
    "retention:complete_action": page(NOBODY, CARE_FOR_IT, "action"),
    "retention:reopen_action": page(NOBODY, CARE_FOR_IT, "action"),
    "retention:follow_up_action": page(NOBODY, CARE_FOR_IT, "action"),
    "pulsecheck:pulses": page(SEE_IT, NOBODY, "account"),
    # insights to bring along, surveys and what was answered
    "pulsecheck:insights": page(SIGNED_IN, NOBODY),
    "pulsecheck:insight": page(SIGNED_IN, NOBODY, "insight"),
    "pulsecheck:new_insight": page(KPI_READERS, KPI_READERS),
    "pulsecheck:edit_insight": page(KPI_READERS, KPI_READERS, "insight"),
    "pulsecheck:withdraw_insight": page(NOBODY, KPI_READERS, "insight"),
    "pulsecheck:restore_insight": page(NOBODY, KPI_READERS, "insight"),
    "pulsecheck:send_survey": page(CARE_FOR_IT, CARE_FOR_IT, "account"),
    "pulsecheck:surveys": page(SIGNED_IN, NOBODY),
    "pulsecheck:survey": page(SEE_IT, NOBODY, "survey"),
    "pulsecheck:cancel_survey": page(NOBODY, CARE_FOR_IT, "survey"),
    "pulsecheck:close_loop": page(NOBODY, CARE_FOR_IT, "survey"),
    "pulsecheck:answer_survey": page(EVERYBODY, EVERYBODY, token="abc-def"),
    "pulsecheck:survey_thanks": page(EVERYBODY, NOBODY),
    # promises, issues, enquiries, the fine print
    "pulsecheck:promises": page(CARERS, NOBODY),
    "pulsecheck:promise_records": page(CARERS, NOBODY),
    "pulsecheck:keep_promise": page(NOBODY, CARE_FOR_IT, "promise"),
    "pulsecheck:break_promise": page(NOBODY, CARE_FOR_IT, "promise"),
    "pulsecheck:share_promise": page(NOBODY, CARE_FOR_IT, "promise"),
    "pulsecheck:promised": page(EVERYBODY, NOBODY, token=sign_key(PromisePage.LINK, "a-page-for-a-customer")),
    "pulsecheck:open_promise_page": page(NOBODY, CARE_FOR_IT, "account"),
    "pulsecheck:close_promise_page": page(NOBODY, CARE_FOR_IT, "account"),
    "pulsecheck:issues": page(CARERS, NOBODY),
    "pulsecheck:issue": page(CARE_FOR_IT, NOBODY, "issue"),
    "pulsecheck:change_issue": page(NOBODY, CARE_FOR_IT, "issue"),
    "pulsecheck:resolve_issue": page(NOBODY, CARE_FOR_IT, "issue"),
    "pulsecheck:tell_customer": page(NOBODY, CARE_FOR_IT, "issue"),
    "pulsecheck:reopen_issue": page(NOBODY, CARE_FOR_IT, "issue"),
    "pulsecheck:enquiries": page(CARERS, NOBODY),
    "pulsecheck:enquiry": page(CARE_FOR_IT, NOBODY, "enquiry"),
    "pulsecheck:answer_enquiry": page(NOBODY, CARE_FOR_IT, "enquiry"),
    "pulsecheck:finish_enquiry_step": page(NOBODY, CARE_FOR_IT, "enquiry"),
    "pulsecheck:fine_print": page(CARERS, NOBODY),
    "pulsecheck:contract_terms": page(CARE_FOR_IT, NOBODY, "contract"),
    "pulsecheck:explain_terms": page(NOBODY, CARE_FOR_IT, "contract"),
    "pulsecheck:acknowledge_terms": page(NOBODY, CARE_FOR_IT, "contract"),
    "pulsecheck:audit": page(SIGNED_IN, NOBODY),
    "pulsecheck:audit_size": page(NOBODY, ADMINISTRATORS),
    # two owners, the retention team, handing over
    "pulsecheck:owners": page(CARERS, NOBODY),
    "pulsecheck:team": page(CARE_FOR_IT, NOBODY, "account"),
    "pulsecheck:add_member": page(NOBODY, CARE_FOR_IT, "account"),
    "pulsecheck:change_manager": page(NOBODY, LEAD_IT, "account"),
    "pulsecheck:swap_roles": page(NOBODY, CARE_FOR_IT, "account"),
    "pulsecheck:note_event": page(NOBODY, CARE_FOR_IT, "account"),
    "pulsecheck:remove_member": page(NOBODY, CARE_FOR_IT, "member"),
    "pulsecheck:end_swap": page(NOBODY, CARE_FOR_IT, "swap"),
    "pulsecheck:handoffs": page(CARERS, NOBODY),
    "pulsecheck:handoff": page(CARE_FOR_IT, NOBODY, "handoff"),
    "pulsecheck:receive_handoff": page(NOBODY, CARE_FOR_IT, "handoff"),
    "pulsecheck:finish_onboarding_step": page(NOBODY, CARE_FOR_IT, "onboarding_step"),
    "pulsecheck:hand_over": page(CARE_FOR_IT, CARE_FOR_IT, "account"),
    "pulsecheck:guide": page(SIGNED_IN, NOBODY),
    "pulsecheck:department": page(ADMINISTRATORS, ADMINISTRATORS, "department"),
    "pulsecheck:onboarding": page(ADMINISTRATORS, NOBODY),
    "pulsecheck:new_onboarding_item": page(ADMINISTRATORS, ADMINISTRATORS),
    "pulsecheck:onboarding_item": page(ADMINISTRATORS, ADMINISTRATORS, "onboarding_item"),
    # where model, scorecard and pulse disagree
    "retention:disagreements": page(CARERS, NOBODY),
    "retention:settle": page(NOBODY, CARE_FOR_IT, "disagreement"),
    # figures
    "retention:kpis": page(KPI_READERS, NOBODY),
    "retention:kpis_export": page(KPI_READERS, NOBODY, form="csv"),
    "retention:kpi": page(KPI_READERS, NOBODY, name="save_rate"),
    "retention:kpi_export": page(KPI_READERS, NOBODY, name="save_rate", form="csv"),
    "retention:my_retention": page(WITH_ACCOUNTS, NOBODY),
    "retention:my_records": page(WITH_ACCOUNTS, NOBODY, name="promises"),
    "retention:team_retention": page(LEADERS, NOBODY),
    "retention:model": page(SIGNED_IN, NOBODY),
    "retention:model_version": page(SIGNED_IN, NOBODY, "model"),
    "retention:model_pin": page(NOBODY, ADMINISTRATORS, "model"),
    "retention:model_release": page(NOBODY, ADMINISTRATORS),
    # taking records away
    "pulsecheck:exports": page(SIGNED_IN, NOBODY),
    "pulsecheck:export_care": page(SIGNED_IN, NOBODY, name="handbacks", form="csv"),
    "accounts:export_records": page(SIGNED_IN, NOBODY, kind="orders", form="csv"),
    # imports
    "accounts:imports": page(LEADERS, NOBODY),
    "accounts:new_import": page(LEADERS, LEADERS),
    "accounts:import": page(LEADERS, NOBODY, "import"),
    "accounts:import_columns": page(NOBODY, LEADERS, "import"),
    "accounts:import_start": page(NOBODY, LEADERS, "import"),
    "accounts:import_cancel": page(NOBODY, LEADERS, "import"),
    "accounts:import_undo": page(NOBODY, LEADERS, "import"),
    "accounts:import_rejected": page(LEADERS, NOBODY, "import"),
    "accounts:webhook": page(NOBODY, EVERYBODY, key=HOOK),
    # connected systems: administrators; managers may see how they fare
    "accounts:connections": page(LEADERS, NOBODY),
    "accounts:choose_system": page(ADMINISTRATORS, NOBODY),
    "accounts:new_connection": page(ADMINISTRATORS, ADMINISTRATORS, system="hubspot"),
    "accounts:signed_in": page(ADMINISTRATORS, NOBODY),
    "accounts:connection": page(LEADERS, NOBODY, "connection"),
    "accounts:credentials": page(ADMINISTRATORS, ADMINISTRATORS, "connection"),
    "accounts:try_connection": page(NOBODY, ADMINISTRATORS, "connection"),
    "accounts:connection_tables": page(ADMINISTRATORS, ADMINISTRATORS, "connection"),
    "accounts:connection_map": page(ADMINISTRATORS, ADMINISTRATORS, "connection"),
    "accounts:connection_preview": page(ADMINISTRATORS, ADMINISTRATORS, "connection"),
    "accounts:start_sync": page(NOBODY, ADMINISTRATORS, "connection"),
    "accounts:stop_sync": page(NOBODY, ADMINISTRATORS, "connection"),
    "accounts:pause_connection": page(NOBODY, ADMINISTRATORS, "connection"),
    "accounts:continue_connection": page(NOBODY, ADMINISTRATORS, "connection"),
    "accounts:schedule_connection": page(NOBODY, ADMINISTRATORS, "connection"),
    "accounts:write_back": page(NOBODY, ADMINISTRATORS, "connection"),
    "accounts:disconnect": page(ADMINISTRATORS, ADMINISTRATORS, "connection"),
    "accounts:sync_run": page(LEADERS, NOBODY, "sync_run"),
    "accounts:quarantine": page(ADMINISTRATORS, NOBODY, "connection"),
    "accounts:decide": page(ADMINISTRATORS, ADMINISTRATORS, "doubtful"),
    "accounts:duplicates": page(ADMINISTRATORS, NOBODY),
    "accounts:look_for_duplicates": page(NOBODY, ADMINISTRATORS),
    "accounts:duplicate": page(ADMINISTRATORS, ADMINISTRATORS, "duplicate"),
    "accounts:undo_merge": page(NOBODY, ADMINISTRATORS, "merge"),
    # one's own things
    "notifications:inbox": page(SIGNED_IN, NOBODY),
    "notifications:read_all": page(NOBODY, SIGNED_IN),
    "notifications:read": page(NOBODY, ITS_OWNER, "notification"),
    "notifications:preferences": page(SIGNED_IN, SIGNED_IN),
    "notifications:webhooks": page(ADMINISTRATORS, ADMINISTRATORS),
    "notifications:webhook": page(ADMINISTRATORS, NOBODY, "webhook"),
    "notifications:change_webhook": page(NOBODY, ADMINISTRATORS, "webhook"),
    "notifications:rotate_webhook": page(NOBODY, ADMINISTRATORS, "webhook"),
    "notifications:turn_webhook": page(NOBODY, ADMINISTRATORS, "webhook"),
    "notifications:test_webhook": page(NOBODY, ADMINISTRATORS, "webhook"),
    "notifications:delete_webhook": page(NOBODY, ADMINISTRATORS, "webhook"),
    "notifications:replay_delivery": page(NOBODY, ADMINISTRATORS, "webhook_call"),
    "accounts:tokens": page(SIGNED_IN, SIGNED_IN),
    "accounts:revoke_token": page(NOBODY, ITS_OWNER, "token"),
    # administration
    "retention:load_sample": page(NOBODY, ADMINISTRATORS),
    "retention:remove_sample": page(NOBODY, ADMINISTRATORS),
    "retention:settings": page(ADMINISTRATORS, NOBODY),
    "retention:definitions": page(ADMINISTRATORS, NOBODY),
    "retention:definition": page(ADMINISTRATORS, ADMINISTRATORS),
    "retention:tiers": page(ADMINISTRATORS, ADMINISTRATORS),
    "retention:health_weights": page(ADMINISTRATORS, ADMINISTRATORS),
    "retention:cadence": page(ADMINISTRATORS, ADMINISTRATORS),
    "retention:status": page(ADMINISTRATORS, NOBODY),
    "retention:run_progress": page(ADMINISTRATORS, NOBODY),
    "retention:score_now": page(NOBODY, ADMINISTRATORS),
    "accounts:people": page(ADMINISTRATORS, NOBODY),
    "accounts:new_person": page(ADMINISTRATORS, ADMINISTRATORS),
    "accounts:person": page(ADMINISTRATORS, ADMINISTRATORS, "person"),
    "accounts:person_link": page(NOBODY, ADMINISTRATORS, "person"),
    "accounts:disable_person": page(NOBODY, ADMINISTRATORS, "person"),
    "accounts:enable_person": page(NOBODY, ADMINISTRATORS, "person"),
    "accounts:person_left": page(ADMINISTRATORS, ADMINISTRATORS, "person"),
    "accounts:teams": page(ADMINISTRATORS, NOBODY),
    "accounts:new_team": page(ADMINISTRATORS, ADMINISTRATORS),
    "accounts:team": page(ADMINISTRATORS, ADMINISTRATORS, "team"),
    "accounts:delete_team": page(NOBODY, ADMINISTRATORS, "team"),
    "accounts:company": page(ADMINISTRATORS, ADMINISTRATORS),
    "accounts:rates": page(ADMINISTRATORS, ADMINISTRATORS),
    "accounts:rate": page(ADMINISTRATORS, ADMINISTRATORS, "rate"),
    "accounts:delete_rate": page(NOBODY, ADMINISTRATORS, "rate"),
    "accounts:churn_reasons": page(ADMINISTRATORS, NOBODY),
    "accounts:new_churn_reason": page(ADMINISTRATORS, ADMINISTRATORS),
    "accounts:churn_reason": page(ADMINISTRATORS, ADMINISTRATORS, "churn_reason"),
    "accounts:terms": page(ADMINISTRATORS, NOBODY),
    "accounts:new_term": page(ADMINISTRATORS, ADMINISTRATORS),
    "accounts:term": page(ADMINISTRATORS, ADMINISTRATORS, "term"),
    # the API
    "retention:api_docs": page(SIGNED_IN, NOBODY),
    "api:schema": api(API_ALL),
    "api:account-list": api(API_ALL),
    "api:account-detail": api(API_SEE_IT, NOBODY, "account"),
    "api:account-bulk": api(NOBODY, LEADERS),
    "api:account-score-list": api(API_SEE_IT, NOBODY, "account_id"),
    "api:contact-list": api(API_ALL),
    "api:contact-detail": api(API_SEE_IT, NOBODY, "contact"),
    "api:contact-bulk": api(NOBODY, LEADERS),
    "api:order-list": api(API_ALL),
    "api:order-detail": api(API_SEE_IT, NOBODY, "order"),
    "api:order-bulk": api(NOBODY, LEADERS),
    "api:contract-list": api(API_ALL),
    "api:contract-detail": api(API_SEE_IT, NOBODY, "contract"),
    "api:contract-bulk": api(NOBODY, LEADERS),
    "api:interaction-list": api(API_ALL),
    "api:interaction-detail": api(API_SEE_IT, NOBODY, "interaction"),
    "api:interaction-bulk": api(NOBODY, LEADERS),
    "api:issue-list": api(API_ALL),
    "api:issue-detail": api(API_SEE_IT, NOBODY, "issue"),
    "api:issue-bulk": api(NOBODY, LEADERS),
    "api:promise-list": api(API_ALL),
    "api:promise-detail": api(API_SEE_IT, NOBODY, "promise"),
    "api:promise-bulk": api(NOBODY, LEADERS),
    "api:enquiry-list": api(API_ALL),
    "api:enquiry-detail": api(API_SEE_IT, NOBODY, "enquiry"),
    "api:enquiry-bulk": api(NOBODY, LEADERS),
    "api:score-list": api(API_ALL),
    "api:handback-list": api(API_ALL),
    "api:handback-detail": api(API_SEE_IT, NOBODY, "handback"),
    "api:handback-accept": api(NOBODY, API_CARE_FOR_IT, "handback"),
    "api:handback-decline": api(NOBODY, API_CARE_FOR_IT, "handback"),
    "api:handback-attempts": api(NOBODY, API_CARE_FOR_IT, "handback"),
    "api:handback-counter-sign": api(NOBODY, API_CARE_FOR_IT, "handback"),
    "api:handback-settle-reason": api(NOBODY, API_CARE_FOR_IT, "handback"),
    "api:handback-close": api(NOBODY, API_CARE_FOR_IT, "handback"),
    "api:touchpoint-list": api(API_ALL),
    "api:touchpoint-detail": api(API_SEE_IT, NOBODY, "touchpoint"),
    "api:touchpoint-move": api(NOBODY, API_CARE_FOR_IT, "touchpoint"),
    "api:touchpoint-skip": api(NOBODY, API_CARE_FOR_IT, "touchpoint"),
    "api:absence-list": api(API_ALL, API_ALL - {"marketing"}),
    "api:absence-detail": api(SEES_THE_ABSENCE, NOBODY, "absence"),
    "api:absence-end": api(NOBODY, SEES_THE_ABSENCE, "absence"),
    "api:pulse-check-list": api(API_ALL, API_ALL - {"marketing"}),
    "api:pulse-check-detail": api(API_SEE_IT, NOBODY, "pulse"),
    "api:insight-list": api(API_ALL),
    "api:insight-detail": api(API_ALL, NOBODY, "insight"),
    "api:survey-list": api(API_ALL, API_ALL - {"marketing"}),
    "api:survey-detail": api(API_SEE_IT, NOBODY, "survey"),
    "api:meeting-list": api(API_CARERS, API_CARERS),
    "api:meeting-detail": api(API_CARE_FOR_IT, NOBODY, "meeting"),
    "api:meeting-move": api(NOBODY, API_CARE_FOR_IT, "meeting"),
    "api:meeting-minutes": api(NOBODY, API_CARE_FOR_IT, "meeting"),
    "api:meeting-hold": api(NOBODY, API_CARE_FOR_IT, "meeting"),
    "api:meeting-cancel": api(NOBODY, API_CARE_FOR_IT, "meeting"),
    "api:action-list": api(API_CARERS, API_CARERS),
    "api:action-detail": api(API_CARE_FOR_IT, NOBODY, "action"),
    "api:action-change": api(NOBODY, CHANGE_THE_ACTION, "action"),
    "api:action-complete": api(NOBODY, CHANGE_THE_ACTION, "action"),
    "api:action-reopen": api(NOBODY, CHANGE_THE_ACTION, "action"),
    "api:action-follow-up": api(NOBODY, API_CARE_FOR_IT, "action"),
    "api:reference-list": api(API_ALL, API_ALL - {"marketing"}),
    "api:reference-detail": api(API_SEE_IT, NOBODY, "reference"),
    "api:reference-revoke": api(NOBODY, API_CARE_FOR_IT, "reference"),
    "api:product-list": api(API_ALL),
    "api:product-detail": api(API_ALL, NOBODY, "product"),
    "api:product-bulk": api(NOBODY, LEADERS),
    "api:order-line-list": api(API_ALL),
    "api:order-line-detail": api(API_SEE_IT, NOBODY, "order_line"),
    "api:order-line-bulk": api(NOBODY, LEADERS),
    "api:churn-reason-list": api(API_ALL),
    "api:churn-reason-detail": api(API_ALL, NOBODY, "churn_reason"),
    "api:pulse-theme-list": api(API_ALL),
    "api:pulse-theme-detail": api(API_ALL, NOBODY, "pulse_theme"),
    "api:user-list": api(API_ALL),
    "api:user-detail": api(API_ALL, NOBODY, "person"),
    "api:team-list": api(API_ALL),
    "api:team-detail": api(API_ALL, NOBODY, "team"),
    "api:import-list": api(LEADERS),
    "api:import-detail": api(LEADERS, NOBODY, "import", of_role=True),
    "api:webhook-list": api(ADMINISTRATORS, ADMINISTRATORS),
    "api:webhook-detail": api(ADMINISTRATORS, NOBODY, "webhook", of_role=True),
    "api:webhook-change": api(NOBODY, ADMINISTRATORS, "webhook", of_role=True),
    "api:webhook-rotate": api(NOBODY, ADMINISTRATORS, "webhook", of_role=True),
    "api:webhook-enable": api(NOBODY, ADMINISTRATORS, "webhook", of_role=True),
    "api:webhook-disable": api(NOBODY, ADMINISTRATORS, "webhook", of_role=True),
    "api:webhook-test": api(NOBODY, ADMINISTRATORS, "webhook", of_role=True),
    "api:webhook-unsubscribe": api(NOBODY, ADMINISTRATORS, "webhook", of_role=True),
    "api:webhook-call-list": api(ADMINISTRATORS),
    "api:webhook-call-detail": api(ADMINISTRATORS, NOBODY, "webhook_call", of_role=True),
    "api:webhook-call-replay": api(NOBODY, ADMINISTRATORS, "webhook_call", of_role=True),
    "api:kpi-list": api(KPI_READERS),
    "api:kpi-detail": api(KPI_READERS, NOBODY, name="save_rate"),
    "api:nowhere": api(NOBODY, NOBODY, anything="nonsense/"),
    "api:account-product-list": api(API_SEE_IT, NOBODY, "account_id"),
    "api:audit-pick-list": api(API_ALL),
    "api:audit-pick-detail": api(API_SEE_IT, NOBODY, "audit_pick"),
}


# ── every address there is ─────────────────────────────────────────────
def named_urls(resolver: URLResolver, namespace: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = ":".join(part for part in (namespace, pattern.namespace) if part)
            yield from named_urls(pattern, inner)
        elif isinstance(pattern, URLPattern):
            yield f"{namespace}:{pattern.name}" if namespace else str(pattern.name or pattern.pattern)


ALL_URLS = sorted(set(named_urls(get_resolver())))
# Django's emergency admin: one rule for all of it, below.
# The admin's own sign-in and sign-out and the script with its texts are open by nature; "None" is its own 404.
OPEN_ADMIN_URLS = {"admin:login", "admin:logout", "admin:jsi18n", "admin:None"}
ADMIN_URLS = [name for name in ALL_URLS if name.startswith("admin:") and name not in OPEN_ADMIN_URLS]
OUR_URLS = [name for name in ALL_URLS if not name.startswith("admin:")]


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert sorted(set(OUR_URLS) - set(TABLE)) == [], "say in TABLE who may open these"
    assert sorted(set(TABLE) - set(OUR_URLS)) == [], "these addresses are gone"


# ── the world they are tried in ────────────────────────────────────────
@dataclass(frozen=True)
class World:
    cast: Cast
    ids: dict[str, int]
    secrets: dict[str, str]


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def make_world() -> World:
    """One record of every kind, all of the account that the strangers of the cast must not see."""
    cache.clear()
    cast = make_cast()
    account, owner = cast.account, cast.owner
    ScoreFactory(account=account)
    AccountFactory(name="Gasthof Linde", original_salesperson=cast.stranger)
    token, secret = ApiToken.objects.issue(owner, "shop")
    now = timezone.now()
    run = ImportRun.objects.create(
        kind="orders", file_name="orders.csv", state=ImportState.DONE, started_at=now, finished_at=now
    )
    record_kpis(date_ago(1))
    InteractionFactory(account=account, message_class="promotion")
    recount_messages()
    PromisePage.objects.create(account=account, token="a-page-for-a-customer", made_by=owner)
    step = OnboardingStepFactory(handoff__account=account, handoff__handed_by=owner)
    CalendarFeed.objects.create(user=owner, digest=digest_of(FEED))
    Connection.objects.create(name="Shop", system="hubspot", record_source="shop-crm", hook_key=HOOK)
    webhook = make_webhook()
    records = {
        "webhook": webhook,
        "webhook_call": send_test(webhook),
        "account": account,
        "account_id": account,
        "contact": ContactFactory(account=account),
        "order": OrderFactory(account=account),
        "order_line": OrderLineFactory(order__account=account),
        "pulse_theme": PulseTheme.objects.earliest("pk"),
        "contract": ContractFactory(account=account),
        "issue": IssueFactory(account=account),
        "interaction": InteractionFactory(account=account),
        "promise": PromiseFactory(account=account, made_by=owner),
        "enquiry": EnquiryFactory(account=account),
        "pulse": PulseCheckFactory(account=account, taken_by=cast.teammate),
        "touchpoint": TouchpointFactory(account=account),
        "absence": AbsenceFactory(person=cast.teammate),
        "handback": HandbackFactory(account=account),
        "notification": NotificationFactory(user=owner),
        "disagreement": DisagreementFactory(account=account),
        "meeting": MeetingFactory(account=account, chair=owner),
        "action": ActionFactory(account=account, owner=owner),
        "insight": InsightFactory(),
        "audit_pick": AuditPickFactory(account=account),
        "survey": SurveyAnswerFactory(survey__account=account).survey,
        "product": ProductFactory(),
        "reference": ReferenceFactory(account=account, noted_by=owner),
        "proof_page": ProofPage.objects.create(
            token="known-to-whoever-has-the-link", title="Fair", created_by=cast.marketing
        ),
        "token": token,
        "import": run,
        **make_connection(account),
        **make_merge(account),
        "person": cast.teammate,
        "team": cast.team,
        "rate": ExchangeRate.objects.create(currency="CHF", rate="1.05"),
        "churn_reason": ChurnReason.objects.get(code="undercut"),
        "term": Term.objects.get(name="Renewal"),
        "member": AccountMemberFactory(account=account, user=cast.teammate),
        "swap": RoleSwapFactory(account=account, started_by=owner),
        "handoff": step.handoff,
        "onboarding_step": step,
        "onboarding_item": OnboardingItem.objects.earliest("pk"),
        "department": Department.objects.earliest("pk"),
        "model": FittedModelFactory(),
        "trigger": TriggerRule.objects.get(trigger="quiet"),
    }
    secrets = {
        "token": secret,
        "stranger_token": ApiToken.objects.issue(cast.stranger, "shop")[1],
        "disabled_token": ApiToken.objects.issue(cast.disabled, "shop")[1],
    }
    return World(cast, {name: record.pk for name, record in records.items()}, secrets)


def client_of(world: World, who: str) -> Client:
    if who in world.secrets:
        return Client(raise_request_exception=False, headers={"Authorization": f"Token {world.secrets[who]}"})
    client = Client(raise_request_exception=False)
    if who != "anonymous":
        client.force_login(getattr(world.cast, who))
    return client


def address_of(name: str, world: World) -> str:
    row = TABLE[name]
    arguments = dict(row.arguments)
    if row.record.startswith("?"):
        field = row.record.removeprefix("?")
        return f"{reverse(name)}?{field}={world.ids[field]}"
    if row.record:
        arguments["account_id" if row.record == "account_id" else "pk"] = world.ids[row.record]
    return reverse(name, kwargs=arguments)


def ask(client: Client, method: str, address: str, is_api: bool) -> HttpResponseBase:
    """The answer, without its effect: the next one asks in the same world, still signed in."""
    cookies = client.cookies.copy()
    send: Callable[..., HttpResponseBase] = client.get if method == "get" else client.post
    body = {"content_type": "application/json", "data": {}} if is_api and method == "post" else {}
    with transaction.atomic():
        answer = send(address, **body)
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer


# ── what is expected ───────────────────────────────────────────────────
def is_let_in(answer: HttpResponseBase) -> bool:
    """Served, sent on to a page, or told what is wrong with what was sent."""
    if answer.status_code == 302:
        return not answer["Location"].startswith("/sign-in/?next=")
    return answer.status_code in {200, 201, 204, 400, 409, 410, 422}


def is_refused(answer: HttpResponseBase, who: str, row: Row, method: str) -> bool:
    """As a stranger is: nothing there, or please sign in. 405 says no more than that a page cannot be posted to."""
    allowed = row.get if method == "get" else row.post
    if not allowed and answer.status_code == 405:
        return True
    if row.is_api:
        outside = {"anonymous", "disabled", "disabled_token"}
        return answer.status_code == 401 if who in outside else answer.status_code in _api_refusals(who, row)
    if who in OUTSIDE:
        return answer.status_code == 302 and answer["Location"].startswith("/sign-in/?next=")
    return answer.status_code == 404


def _api_refusals(who: str, row: Row) -> set[int]:
    """403 tells a role that this is none of its business; never a stranger that a record exists."""
    return {404} if row.record and who in STRANGE and not row.of_role else {403, 404}


def closed_links(answer: HttpResponseBase, who: str) -> list[str]:
    """Addresses that a page links to and that its reader may not open; strangers have accounts of their own besides the
    one the table is about."""
    if who in STRANGE or answer.streaming or not answer.get("Content-Type", "").startswith("text/html"):
        return []
    found = set(re.findall(r'href="(/[^"?#]*)', answer.content.decode()))  # type: ignore[attr-defined]
    names = {link: resolve(link).view_name for link in found if not link.startswith("/static/")}
    return sorted(link for link, name in names.items() if name in TABLE and who not in TABLE[name].get)


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_may(world: World, method: str) -> None:
    """All addresses in one world, so that one look at a failure shows every difference."""
    clients = {who: client_of(world, who) for who in sorted(EVERYBODY)}
    wrong = []
    for name, row in TABLE.items():
        address = address_of(name, world)
        allowed = row.get if method == "get" else row.post
        for who, client in clients.items():
            answer = ask(client, method, address, row.is_api)
            is_right = is_let_in(answer) if who in allowed else is_refused(answer, who, row, method)
            if not is_right:
                may = "may" if who in allowed else "may not"
                wrong.append(f"{method.upper()} {address}: {who} {may}, but got {answer.status_code}")
            wrong += [
                f"{address} shows {who} a link to {link}, which is not theirs"
                for link in closed_links(answer, who)
            ]
    assert not wrong, "\n".join(["", *wrong])


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_emergency_admin_is_for_administrators(world: World, method: str) -> None:
    wrong = []
    for who in sorted(EVERYBODY - ADMINISTRATORS):
        client = client_of(world, who)
        for name in ADMIN_URLS:
            answer = ask(client, method, _admin_address(name), is_api=False)
            is_sent_away = answer.status_code == 302 and "/login/" in answer["Location"]
            if not (is_sent_away or is_refused(answer, "anonymous", TABLE["retention:status"], method)):
                wrong.append(f"{method.upper()} {name}: {who} got {answer.status_code}")
    assert not wrong, "\n".join(["", *wrong])


def _admin_address(name: str) -> str:
    """An address of the admin with something in every place of its pattern."""
    admin = get_resolver().namespace_dict["admin"][1]
    _, names = admin.reverse_dict.getlist(name.removeprefix("admin:"))[0][0][0]
    samples = {"app_label": "auth", "object_id": "1", "content_type_id": "1"}
    return reverse(name, kwargs={key: samples[key] for key in names})


@pytest.mark.parametrize("kind", ["account", "contact", "order", "contract", "handback", "pulse-check"])
def test_a_stranger_cannot_tell_hidden_from_missing(world: World, kind: str) -> None:
    client = client_of(world, "stranger_token")
    record = "pulse" if kind == "pulse-check" else kind
    hidden = client.get(reverse(f"api:{kind}-detail", kwargs={"pk": world.ids[record]}))
    missing = client.get(reverse(f"api:{kind}-detail", kwargs={"pk": 10**9}))
    assert hidden.status_code == missing.status_code == 404
    assert hidden.content == missing.content


@pytest.mark.parametrize("who", ["stranger", "other_manager"])
@pytest.mark.parametrize(
    "address",
    [
        "/accounts/",
        "/at-risk/",
        "/search/?q=Seeblick",
        "/search/suggest/?q=Seeblick",
        "/handbacks/",
        "/pulse/",
        "/surveys/",
        "/promises/?state=all",
        "/issues/?state=all",
        "/enquiries/?state=all",
        "/fine-print/?state=all",
        "/audit/",
        "/owners/?state=all",
        "/handoffs/?state=all",
        "/messages/accounts/?whose=all",
        "/messages/sent/?whose=all",
        "/",
    ],
)
def test_no_list_names_what_is_hidden(world: World, who: str, address: str) -> None:
    answer = client_of(world, who).get(address)
    assert answer.status_code == 200
    assert "Hotel Seeblick" not in answer.content.decode()


@pytest.mark.parametrize("who", ["stranger", "other_manager"])
@pytest.mark.parametrize(
    "address", ["/accounts/export.csv", "/at-risk/export.csv", "/kpis/save_rate/accounts.csv"]
)
def test_no_export_holds_what_is_hidden(world: World, who: str, address: str) -> None:
    answer = client_of(world, who).get(address)
    parts = answer.streaming_content if answer.streaming else [answer.content]  # type: ignore[attr-defined]
    assert b"Hotel Seeblick" not in b"".join(parts)
