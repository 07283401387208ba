"""Connections to other systems: how they are reached, how far they are read, what came in, and what goes back."""

from __future__ import annotations

import secrets
from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models.account import Account, AccountRelatedQuerySet, Contact
from accounts.models.fields import Stamped
from accounts.models.imports import ImportRun
from accounts.models.staff import Role, User


def new_hook_key() -> str:
    """What makes the address of a connection's webhooks one that nobody guesses: 192 random bits."""
    return secrets.token_urlsafe(24)


class ConnectionQuerySet(models.QuerySet["Connection"]):
    def visible_to(self, user: User) -> Self:
        """Administrators, and managers, who may see how a connection fares. What is done to one is for administrators."""
        allowed = user.is_active and (user.is_superuser or user.role in {Role.ADMINISTRATOR, Role.MANAGER})
        return self if allowed else self.none()


class Connection(Stamped):
    """One connected system. `sealed_credentials` is written and read by accounts.crm.vault alone: encrypted, never
    shown again, never logged. Its records carry `record_source`, within which ids are compared."""

    name = models.CharField(max_length=60, unique=True)
    system = models.CharField(max_length=30, help_text="The folder below accounts/crm/.")
    record_source = models.CharField(max_length=60, unique=True)
    options = models.JSONField(default=dict, help_text="Addresses and choices; nothing secret.")
    sealed_credentials = models.TextField(blank=True)
    credentials_expire_at = models.DateTimeField(null=True, blank=True)
    is_paused = models.BooleanField(default=False)
    writes_back = models.BooleanField(default=False)
    pull_minutes = models.PositiveIntegerField(
        default=15, help_text="Minutes between two pulls; 0 = only by hand."
    )
    sweep_hours = models.PositiveIntegerField(
        default=24, help_text="Hours between two looks for deleted records."
    )
    # Calls allowed now, refilled over time, and until when the other side asked us to wait: kept here so that all
    # workers together stay below the limit.
    tokens = models.FloatField(default=0)
    filled_at = models.DateTimeField(db_default=Now())
    wait_until = models.DateTimeField(null=True, blank=True)
    hook_key = models.CharField(max_length=43, unique=True, null=True, editable=False, default=new_hook_key)
    hook_at = models.DateTimeField(null=True, blank=True, help_text="When the last genuine webhook came in.")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    message = models.CharField(max_length=500, blank=True, help_text="What a person has to do, if anything.")

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class StreamCursor(Stamped):
    """How far one kind of record of a connection is read.

    `since` is where the last complete pass ended; `position` is where the present pass stands, in the connector's own
    words, and is written in the transaction that lands the page before it.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="streams")
    stream = models.CharField(max_length=60)
    number = models.PositiveSmallIntegerField(default=0, help_text="Order of reading and applying.")
    is_wanted = models.BooleanField(default=True)
    since = models.DateTimeField(null=True, blank=True)
    position = models.JSONField(null=True, blank=True)
    pass_began_at = models.DateTimeField(null=True, blank=True, help_text="By the other side's clock.")
    pass_top = models.DateTimeField(null=True, blank=True, help_text="Latest change met in the present pass.")
    swept_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["connection", "number", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "stream"], name="cursor_once_per_stream")
        ]

    def __str__(self) -> str:
        return f"{self.stream} of {self.connection}"


class FieldMap(Stamped):
    """Which of our columns a stream fills from which of its fields (accounts.crm.mapping)."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="maps")
    stream = models.CharField(max_length=60)
    kind = models.CharField(max_length=20, help_text="Record kind of the import door.")
    columns = models.JSONField(default=dict, help_text="Our column -> where its value is taken from.")
    only_if = models.JSONField(
        default=dict, blank=True, help_text="Field -> values; other records are left out."
    )

    class Meta:
        ordering = ["connection", "pk"]
        constraints = [models.UniqueConstraint(fields=["connection", "stream"], name="map_once_per_stream")]

    def __str__(self) -> str:
        return f"{self.stream} -> {self.kind}"


class RawRecord(models.Model):
    """A record as the other system gave it: landed first, taken through the import door after.

    `hash` is of the payload without what the connector calls volatile, so that a record that merely comes again, or
    comes because we wrote to it, is known to be the same. `is_pending` says that the door has not seen this state yet.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+", db_index=False)
    stream = models.CharField(max_length=60)
    source_id = models.CharField(max_length=200)
    hash = models.CharField(max_length=64)
    payload = models.JSONField(encoder=DjangoJSONEncoder)
    changed_at = models.DateTimeField(null=True, help_text="By the other side.")
    seen_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True)
    is_back = models.BooleanField(
        default=False, db_default=False, help_text="Was deleted, and is there again."
    )
    is_pending = models.BooleanField(default=True)
    applied_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True, db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "stream", "source_id"], name="raw_once_per_source_id"
            )
        ]
        indexes = [
            models.Index(
                fields=["connection", "stream", "id"], condition=Q(is_pending=True), name="raw_pending"
            ),
            models.Index(fields=["connection", "stream"], condition=~Q(problem=""), name="raw_refused"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.source_id}"


class RecordAlias(models.Model):
    """An id of one source that stands for an account or a contact which came from another: the door takes it for that
    record. Ids are compared within a source and a kind of record."""

    record_source = models.CharField(max_length=60)
    external_id = models.CharField(max_length=200)
    account = models.ForeignKey(
        Account, null=True, blank=True, on_delete=models.CASCADE, related_name="aliases"
    )
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.CASCADE, related_name="aliases"
    )
    created_at = models.DateTimeField(db_default=Now())

    derived_rows = Q(pk__isnull=False)  # no reason to keep an import that is undone

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["record_source", "external_id"],
                condition=Q(account__isnull=False),
                name="alias_once_per_source",
            ),
            models.UniqueConstraint(
                fields=["record_source", "external_id"],
                condition=Q(contact__isnull=False),
                name="contact_alias_once_per_source",
            ),
            models.CheckConstraint(
                condition=Q(account__isnull=False, contact=None) | Q(account=None, contact__isnull=False),
                name="alias_of_one_record",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.external_id} of {self.record_source}"


class Decision(models.TextChoices):
    WAITING = "waiting", "Waiting for you"
    LINKED = "linked", "Is known"
    NEW = "new", "Is new"
    LEFT_OUT = "left_out", "Left out"


class Linkable(models.TextChoices):
    """What may be known from elsewhere already; the record kinds of the import door."""

    ACCOUNTS = "accounts", "account"
    CONTACTS = "contacts", "contact"


class Quarantine(Stamped):
    """A record that could be any of several accounts, or of several contacts of one: a person says which."""

    raw = models.OneToOneField(RawRecord, on_delete=models.CASCADE, related_name="quarantine")
    kind = models.CharField(
        max_length=10, choices=Linkable.choices, default=Linkable.ACCOUNTS, db_default=Linkable.ACCOUNTS
    )
    candidates = models.JSONField(default=list, help_text="Ids of the records of its kind that it could be.")
    reason = models.CharField(max_length=300)
    decision = models.CharField(max_length=10, choices=Decision.choices, default=Decision.WAITING)
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    contact = models.ForeignKey(Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["id"], condition=Q(decision="waiting"), name="quarantine_waiting")]

    def __str__(self) -> str:
        return f"{self.raw}: {self.reason}"

    @property
    def record(self) -> Account | Contact | None:
        """The one a person said it is."""
        return self.account or self.contact


class ReadHint(models.Model):
    """A record to be read again, because a webhook said that it changed. Saying it often says it once."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="hints")
    stream = models.CharField(max_length=60)
    source_id = models.CharField(max_length=200)
    asked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "stream", "source_id"], name="hint_once_per_record")
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.source_id}"


class SyncState(models.TextChoices):
    WAITING = "waiting", "Waiting to start"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class SyncRun(Stamped):
    """One pull (and push) of a connection, cut into steps that any worker may take up again."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="runs", db_index=False)
    is_full = models.BooleanField(default=False, help_text="Reads everything again and looks for deletions.")
    accepts_deletions = models.BooleanField(
        default=False, help_text="A person said that so many records may really be gone."
    )
    is_dry_run = models.BooleanField(
        default=False, db_default=False, help_text="Reads, and finds out what taking it in would do."
    )
    found = models.JSONField(
        null=True,
        blank=True,
        encoder=DjangoJSONEncoder,
        help_text="What a dry run found (accounts.crm.preview).",
    )
    state = models.CharField(max_length=10, choices=SyncState.choices, default=SyncState.WAITING)
    started_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["connection", "-id"], name="sync_run_by_connection")]
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(state__in=["waiting", "running", "paused"]),
                name="one_open_sync_per_connection",
            )
        ]

    def __str__(self) -> str:
        return f"Sync {self.pk} of {self.connection}"


class StepAction(models.TextChoices):
    PULL = "pull", "Read changes"
    HINTS = "hints", "Read what webhooks named"
    SWEEP = "sweep", "Look for deleted records"
    APPLY = "apply", "Take in"
    SALES = "sales", "Find who won the account"
    PUSH = "push", "Write back"
    PREVIEW = "preview", "Find out what would happen"


class StepState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    CLAIMED = "claimed", "Being worked on"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class SyncStep(Stamped):
    """One part of a run, claimed for the length of a lease like a chunk of a scoring run; every page prolongs it.
    `claim` counts the claims, so that a worker that was given up for dead writes nothing any more."""

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="steps", db_index=False)
    number = models.PositiveSmallIntegerField()
    action = models.CharField(max_length=10, choices=StepAction.choices)
    stream = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=10, choices=StepState.choices, default=StepState.WAITING)
    claim = models.PositiveIntegerField(default=0)
    claimed_by = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveSmallIntegerField(default=0, help_text="In a row, without getting on.")
    position = models.JSONField(null=True, blank=True)
    began_at = models.DateTimeField(null=True, blank=True)
    pages = models.PositiveIntegerField(default=0)
    rows_read = models.PositiveBigIntegerField(default=0)
    rows_created = models.PositiveBigIntegerField(default=0)
    rows_changed = models.PositiveBigIntegerField(default=0)
    rows_same = models.PositiveBigIntegerField(default=0)
    rows_refused = models.PositiveBigIntegerField(default=0)
    rows_deleted = models.PositiveBigIntegerField(default=0)
    rows_quarantined = models.PositiveBigIntegerField(default=0)
    last_import = models.ForeignKey(
        ImportRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    message = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="step_once_per_run")]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.stream}".strip()


class SyncLog(models.Model):
    """One line of what happened in a run."""

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField(db_default=Now())
    text = models.CharField(max_length=500)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text


class WriteBackState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    SENT = "sent", "Sent"
    FAILED = "failed", "Refused"


class WriteBack(Stamped):
    """What the other system shall know of an account: the newest state only, one row per account and connection.

    `sent` is what it was last told. A row is waiting exactly while `fields` differ from that; `version` tells a
    sender whether the fields were changed again while it was sending.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="write_backs")
    fields = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    sent = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    version = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=WriteBackState.choices, default=WriteBackState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True, db_default="")

    derived_rows = Q(pk__isnull=False)

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "account"], name="write_back_once")]
        indexes = [
            models.Index(fields=["connection", "id"], condition=Q(state="waiting"), name="write_back_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.account} to {self.connection}"
