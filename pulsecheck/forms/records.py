"""What people write down about an account, and what they do about it later.

A `RecordForm` knows how it is written: the account page shows all of them and has one view for them (`RECORDS`)."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django import forms
from django.utils.functional import cached_property

from accounts.models import Account, Contact, Contract, Enquiry, Issue, Term, User
from accounts.models.care import InteractionKind, MessageClass, Severity, Validity
from accounts.selectors import carers, company_today, get_company
from accounts.services import care, enquiries, issues, promises
from accounts.services.enquiries import NextStep
from pulsecheck.forms.fields import ReasonForm, SubmittedOnce, date_input, in_a_week, not_over
from pulsecheck.services.messages import recount_messages, said_of

FIRST_YEAR = 1900


def past_day(day: dt.date | None) -> dt.date | None:
    """A day that has come, or none."""
    if day is not None and day > company_today():
        raise forms.ValidationError("This is still to come. Write down what has happened.")
    if day is not None and day.year < FIRST_YEAR:
        raise forms.ValidationError(f"Choose a day after {FIRST_YEAR}.")
    return day


def moment_of(day: dt.date | None) -> dt.datetime | None:
    """Midday of a past day; None (now) for today or no day."""
    if day is None or day == company_today():
        return None
    return dt.datetime.combine(day, dt.time(12), get_company().zone)


def _contacts(label: str, empty: str = "Nobody in particular") -> forms.ModelChoiceField:
    return forms.ModelChoiceField(Contact.objects.none(), label=label, required=False, empty_label=empty)


def _people(label: str, empty: str, **options: Any) -> forms.ModelChoiceField:
    return forms.ModelChoiceField(
        User.objects.none(), label=label, required=False, empty_label=empty, **options
    )


def _line(label: str, example: str, longest: int = 500, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=longest, widget=forms.TextInput(attrs={"placeholder": example}), **options
    )


def _text(label: str, **options: Any) -> forms.CharField:
    return forms.CharField(label=label, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}), **options)


class Menus:
    """Who can be chosen in the forms about an account, read once for all of them."""

    def __init__(self, account: Account) -> None:
        self.account = account

    @cached_property
    def contacts(self) -> list[Contact]:
        return list(self.account.contacts.filter(is_active=True))

    @cached_property
    def people(self) -> list[User]:
        return list(carers())

    def fill(self, form: forms.Form) -> None:
        """Menus of contacts hold those who are there, menus of our people those who care for accounts."""
        for field in form.fields.values():
            if not isinstance(field, forms.ModelChoiceField) or field.queryset is None:
                continue
            if field.queryset.model is Contact:
                field.queryset, rows = self.account.contacts.filter(is_active=True), self.contacts
            elif field.queryset.model is User:
                field.queryset, rows = carers(), self.people  # type: ignore[assignment]
            else:
                continue
            field.choices = [("", field.empty_label or ""), *((row.pk, str(row)) for row in rows)]


class RecordForm(SubmittedOnce):
    """Something about `account` that `user` writes down."""

    said: str
    place: ClassVar[str]  # where it stands on the account page afterwards

    def __init__(
        self, *args: Any, account: Account, user: User, menus: Menus | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.account, self.user = account, user
        self.whose = (user.pk, account.pk)
        (menus or Menus(account)).fill(self)

    def write(self) -> None:
        """Write down what was filled in."""
        raise NotImplementedError


class InteractionForm(RecordForm):
    """A contact that happened."""

    said, place = "Written down. It counts as contact from now on.", "timeline"
    subject = _line("In one sentence", "Asked for …")
    kind = forms.ChoiceField(label="What", choices=InteractionKind.choices, initial=InteractionKind.CALL)
    message_class = forms.ChoiceField(
        label="What it was for",
        required=False,
        choices=[("", "Not said"), *MessageClass.choices],
        help_text="Information helps them and sells nothing, promotion sells. A ticket is service unless you say otherwise.",
    )
    contact = _contacts("With")
    happened_on = forms.DateField(
        label="When", required=False, widget=date_input(), help_text="Empty = today."
    )

    def clean_happened_on(self) -> dt.date | None:
        return past_day(self.cleaned_data["happened_on"])

    def write(self) -> None:
        data = dict(self.cleaned_data)
        moment = moment_of(data.pop("happened_on"))
        logged = care.log_interaction(self.account, self.user, happened_at=moment, **data)
        recount_messages([self.account.pk])
        self.said = said_of(self.account, logged)


class PromiseForm(RecordForm):
    """Something promised to a customer."""

    said, place = "Promised. Both owners see it until it is kept.", "promises"
    text = _line("We promise", "A fixed price list")
    due_on = forms.DateField(label="By", widget=date_input())
    made_to = _contacts("To")
    made_by = _people("Promised by", "Me")
    is_shared = forms.BooleanField(
        label="The customer sees it on their page",
        required=False,
        help_text="With the day, and when it is kept.",
    )

    def clean_due_on(self) -> dt.date:
        return not_over(self.cleaned_data["due_on"])

    def write(self) -> None:
        promises.make_promise(self.account, self.user, **self.cleaned_data)


class IssueForm(RecordForm):
    """A grievance of a customer."""

    said, place = "The issue is open.", "issues"
    description = _text("What went wrong")
    severity = forms.ChoiceField(label="How bad", choices=Severity.choices, initial=Severity.MEDIUM)
    theme = _line("About", "Delivery", 100, required=False)
    owner = _people("Who mends it", "I do")
    due_on = forms.DateField(label="Mend it by", required=False, widget=date_input())

    def clean_due_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["due_on"]
        return not_over(day) if day else None

    def write(self) -> None:
        data = dict(self.cleaned_data)
        data["due_on"] = data["due_on"] or in_a_week()
        issues.open_issue(self.account, self.user, **data)


class EnquiryForm(RecordForm):
    """A question a customer asked."""

    said, place = "Written down. The clock runs until they have an answer.", "enquiries"
    subject = _line("They ask", "Do you deliver on Saturdays?")
    contact = _contacts("Who asked")
    source = _line("How it came", "E-mail", 100, required=False)
    owner = _people("Who answers", "Whoever looks after the account")
    next_step = _line("What has to be found out", "Ask the depot", 300, required=False)

    def write(self) -> None:
        enquiries.log_enquiry(self.account, self.user, **self.cleaned_data)


RECORDS: dict[str, type[RecordForm]] = {
    "interaction": InteractionForm,
    "promise": PromiseForm,
    "issue": IssueForm,
    "enquiry": EnquiryForm,
}


# ── what is done about a record later; `row` is the record ─────────────
class DeedForm(forms.Form):
    """What has to be said when something is done about a record."""

    def __init__(self, *args: Any, row: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row, self.user = row, user
        Menus(row if isinstance(row, Account) else row.account).fill(self)


class ClassForm(DeedForm):
    """What a message was for."""

    message_class = forms.ChoiceField(
        choices=MessageClass.choices, error_messages={"required": "Say what it was for."}
    )


class ShareForm(DeedForm):
    """Whether the customer sees a promise."""

    is_shared = forms.BooleanField(required=False)


class WhyForm(DeedForm, ReasonForm):
    """A sentence that says why."""

    for_example = "It came late again on Friday"


class ChangeIssueForm(DeedForm):
    """Who sees to an issue until when, and what it is."""

    owner = _people("Owner", "Nobody")
    due_on = forms.DateField(label="Due", required=False, widget=date_input())
    severity = forms.ChoiceField(label="How bad", choices=Severity.choices)
    theme = _line("About", "Delivery", 100, required=False)
    validity = forms.ChoiceField(label="Is the complaint justified?", choices=Validity.choices)

    def clean_due_on(self) -> dt.date | None:
        """One that is over may stay; another one lies ahead."""
        day: dt.date | None = self.cleaned_data["due_on"]
        return not_over(day) if day and day != self.row.due_on else day

    def __init__(self, *args: Any, row: Issue, **kwargs: Any) -> None:
        initial = {name: getattr(row, name) for name in ("owner", "due_on", "severity", "theme", "validity")}
        super().__init__(*args, row=row, initial=initial, **kwargs)


class ResolveIssueForm(DeedForm):
    """What was done, and whether the customer was right."""

    resolution = _text("What was done about it", error_messages={"required": "Say what was done."})
    validity = forms.ChoiceField(
        label="Was the complaint justified?", choices=Validity.choices, required=False
    )

    def __init__(self, *args: Any, row: Issue, **kwargs: Any) -> None:
        super().__init__(*args, row=row, initial={"validity": row.validity}, **kwargs)


class TellCustomerForm(DeedForm):
    """The customer was told."""

    reaction = _line("What they said to it", "Thanked us", 300, required=False)


class AnswerForm(DeedForm):
    """The answer to an enquiry, and what comes next."""

    response = _text("What you told them", error_messages={"required": "Say what they were told."})
    next_step = _line("What happens next", "Send the price list for Saturdays", 300, required=False)
    next_step_owner = _people("Who", "I do")
    next_step_due_on = forms.DateField(label="By", required=False, widget=date_input())
    is_finished = forms.BooleanField(label="Nothing: they have all they wanted", required=False)

    def __init__(self, *args: Any, row: Enquiry, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        self.fields["next_step_due_on"].initial = in_a_week()

    def clean_next_step_due_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["next_step_due_on"]
        return not_over(day) if day else None

    def clean(self) -> dict[str, Any]:
        """Every enquiry ends with a next step, or with somebody saying that there is none."""
        data = super().clean() or {}
        if data.get("is_finished"):
            return {"response": data.get("response"), "step": None}
        text, day = data.get("next_step"), data.get("next_step_due_on")
        if not text:
            self.add_error("next_step", "What happens next? If nothing does, tick the box below.")
        if not day and "next_step_due_on" not in self.errors:
            self.add_error("next_step_due_on", "By when?")
        if self.errors or not text or not day:
            return data
        step = NextStep(text, data.get("next_step_owner") or self.user, day)
        return {"response": data["response"], "step": step}


class ExplainTermsForm(DeedForm):
    """Which terms were explained, to whom, on which day."""

    terms = forms.ModelMultipleChoiceField(
        Term.objects.none(),
        label="You explained",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick what you explained."},
    )
    to = _contacts("To")
    on = forms.DateField(label="On", widget=date_input())

    def __init__(self, *args: Any, row: Contract, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        left = Term.objects.filter(is_active=True).exclude(disclosures__contract=row)
        self.fields["terms"].queryset = left  # type: ignore[attr-defined]
        self.fields["on"].initial = company_today()

    def clean_on(self) -> dt.date | None:
        return past_day(self.cleaned_data["on"])


class AcknowledgeTermsForm(DeedForm):
    """The customer knows the fine print."""

    how = _line("How they said so", "Signed the list", 200)
    on = forms.DateField(label="On", widget=date_input())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["on"].initial = company_today()

    def clean_on(self) -> dt.date | None:
        return past_day(self.cleaned_data["on"])
