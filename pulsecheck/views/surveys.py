"""Surveys: asking a customer by a link, what they answered, closing the loop; and the page they answer on."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Account
from accounts.permissions import CARERS, SignedIn, has_role, require_role
from accounts.selectors import get_company
from accounts.views.anybody import for_anybody
from pulsecheck.errors import CareError
from pulsecheck.forms.surveys import AnswerForm, CloseLoopForm, SendSurveyForm
from pulsecheck.models import PulseCheck, Survey, SurveyAnswer
from pulsecheck.selectors.surveys import Filters, answer_page, segments_of, survey_results
from pulsecheck.services import surveys as services
from pulsecheck.views.chips import survey_chips


# ── ours ───────────────────────────────────────────────────────────────
@require_GET
def surveys(request: SignedIn) -> HttpResponse:
    """The figures and the answers behind them."""
    filters, now = Filters.from_query(request.GET.dict()), timezone.now()
    context = {
        "results": survey_results(request.user, filters, now),
        "page": answer_page(request.user, filters, now),
        "filters": filters,
        "chips": survey_chips(filters, segments_of(request.user)),
    }
    return render(request, "pulsecheck/surveys.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(*CARERS)
def send_survey(request: SignedIn, pk: int) -> HttpResponse:
    """Ask somebody at a customer. ?pulse= says after which pulse check."""
    account = get_object_or_404(Account.objects.visible_to(request.user), pk=pk)
    form = SendSurveyForm(request.POST or None, account=account)
    if request.method == "POST" and form.is_valid():
        contact, pulse = form.cleaned_data["contact"], _pulse(request, account)
        try:
            survey = services.send_survey(account, contact, request.user, form.questions(), pulse)
        except CareError as problem:
            form.add_error("contact", str(problem))
        else:
            messages.success(request, f"Sent to {contact.name}.")
            return redirect("pulsecheck:survey", survey.pk)
    context = {"form": form, "account": account, "has_people": form.fields["contact"].queryset.exists()}  # type: ignore[attr-defined]
    return render(request, "pulsecheck/survey_send.html", context, status=422 if form.errors else 200)


def _pulse(request: SignedIn, account: Account) -> PulseCheck | None:
    number = request.GET.get("pulse", "")
    return account.pulse_checks.filter(pk=number).first() if number.isdecimal() and len(number) < 19 else None


def _survey(request: SignedIn, pk: int) -> Survey:
    related = ("account", "contact", "sent_by", "answer__issue__owner", "answer__loop_closed_by")
    return get_object_or_404(Survey.objects.visible_to(request.user).select_related(*related), pk=pk)


@require_GET
def survey(request: SignedIn, pk: int) -> HttpResponse:
    """One survey: sent, opened, answered, what came of it."""
    return _show(request, _survey(request, pk), CloseLoopForm())


def _show(request: SignedIn, survey: Survey, form: CloseLoopForm) -> HttpResponse:
    state = survey.state_at(timezone.now())
    context = {
        "survey": survey,
        "answer": getattr(survey, "answer", None),
        "state": state,
        "form": form,
        "may_act": has_role(request.user, *CARERS),
        # Only the customer's mailbox holds the link, so that none of ours can answer. A trial sends its mail nowhere.
        "trial_url": services.survey_url(survey) if settings.TRIAL and state == "waiting" else "",
    }
    return render(request, "pulsecheck/survey.html", context, status=422 if form.errors else 200)


@require_POST
@require_role(*CARERS)
def cancel_survey(request: SignedIn, pk: int) -> HttpResponse:
    """Take the questions back."""
    found = services.cancel_survey(_survey(request, pk), request.user)
    messages.success(request, "Taken back: the link no longer works.")
    return redirect("pulsecheck:survey", found.pk)


@require_POST
@require_role(*CARERS)
def close_loop(request: SignedIn, pk: int) -> HttpResponse:
    """The customer was told what came of it."""
    found = _survey(request, pk)
    answer = get_object_or_404(SurveyAnswer, survey=found)
    form = CloseLoopForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form)
    services.close_loop(answer, request.user, **form.cleaned_data)
    messages.success(request, "The loop is closed. It counts as a contact.")
    return redirect("pulsecheck:survey", found.pk)


# ── the customer's ─────────────────────────────────────────────────────
def _gone(request: HttpRequest, words: str) -> HttpResponse:
    context = {"company": get_company().name, "words": words}
    return render(request, "pulsecheck/survey_gone.html", context, status=410)


@for_anybody
@require_http_methods(["GET", "HEAD", "POST"])
def answer_survey(request: HttpRequest, token: str) -> HttpResponse:
    """The page of the link. Looking at it uses nothing up, since mail programs look first; sending the answer does."""
    try:
        survey = services.find_survey(token)
        company = get_company().name
        # Nothing tapped and nothing written is an answer to be asked about, too.
        filled_in = request.POST if request.method == "POST" else None
        form = AnswerForm(filled_in, survey=survey, company=company)
        if request.method == "POST" and form.is_valid():
            services.answer_survey(survey, form.said())
            return redirect("pulsecheck:survey_thanks")
    except services.SurveyGone as gone:
        return _gone(request, str(gone))
    if request.method == "GET":
        services.note_opened(survey)
    context = {"form": form, "survey": survey, "company": company}
    return render(request, "pulsecheck/survey_answer.html", context, status=422 if form.errors else 200)


@for_anybody
@require_GET
def survey_thanks(request: HttpRequest) -> HttpResponse:
    """After the answer; says nothing about whose it was."""
    return render(request, "pulsecheck/survey_thanks.html", {"company": get_company().name})
