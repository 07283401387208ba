"""What a connector has to offer. It knows its system's words and nothing of our tables."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from accounts.crm.errors import CrmError, WebhookRefused

if TYPE_CHECKING:
    from accounts.crm.link import Link

Position = dict[str, Any]  # where a pass stands, in the connector's own words; JSON


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of record of a system. `kind` is the import door's; empty for records that others only refer to
    (owners). `columns` and `only_if` are the mapping to begin with (accounts.crm.mapping)."""

    name: str
    kind: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    only_if: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the system gave it. `volatile` names top-level fields of the payload that say nothing new."""

    source_id: str
    payload: Mapping[str, Any]
    changed_at: dt.datetime | None = None
    is_deleted: bool = False
    volatile: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and where to go on; `position` None ends the pass. `asked_at` is the other side's clock."""

    records: Sequence[Record]
    position: Position | None
    asked_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class IdPage:
    """Ids that exist, and where to go on; None ends the list."""

    ids: Sequence[str]
    position: Position | None


@dataclass(frozen=True, slots=True)
class Change:
    """What one record of the system shall be told: field (accounts.crm.outbox.FIELDS) -> value."""

    source_id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of one change. `is_final` failures are not tried again."""

    source_id: str
    error: str = ""
    is_final: bool = True

    @property
    def is_ok(self) -> bool:
        return not self.error


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """A call as it came in. Header names are in lower case; `url` is the full address that was called."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Hint:
    """A record that should be read again."""

    stream: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """Fresh credentials (those that changed) and when they expire."""

    credentials: Mapping[str, str] = field(repr=False)
    expire_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing a person is asked for when a system is connected. A credential is encrypted and never shown again;
    anything else becomes an option. `is_hidden`: dots are shown while it is typed."""

    name: str
    label: str
    help: str = ""
    is_credential: bool = True
    is_hidden: bool = True
    is_needed: bool = True
    default: str = ""
    choices: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """One way in: what is asked for, and where a person finds that over there, step by step. `signs_in`: the person is
    sent to the system to agree (OAuth), see `sign_in_address`. `link` is the page of the system that explains it."""

    name: str
    label: str
    asks: Sequence[Ask]
    how_to: Sequence[str] = ()
    link: str = ""
    signs_in: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field that can be mapped; `path` as accounts.crm.mapping reads it."""

    path: str
    label: str


@dataclass(frozen=True, slots=True)
class Table:
    """Something of which only a person knows what it holds: a table or view. `option` is its entry of
    `options["tables"]` without name and kind; `key` and `changed` are guesses."""

    name: str
    columns: Sequence[str]
    times: Sequence[str]
    option: Mapping[str, Any]
    key: str = ""
    changed: str = ""


class Connector(ABC):
    """One connected system. Every call stands alone: what it needs to go on is in `position`, so a process that is
    killed between two calls is replaced by any other."""

    label: ClassVar[str]
    credential_names: ClassVar[tuple[str, ...]]
    calls_per_second: ClassVar[float] = 5.0
    burst: ClassVar[int] = 5
    # How far back a new pass begins before the end of the last one: clocks differ, and indexes lag.
    overlap: ClassVar[dt.timedelta] = dt.timedelta(minutes=5)
    push_size: ClassVar[int] = 100
    can_push: ClassVar[bool] = False
    takes_proof: ClassVar[bool] = False  # PKCE when a person signs in
    has_webhooks: ClassVar[bool] = False
    # What a page is made of depends on those before it: each is landed before the next is asked for.
    looks_at_landed: ClassVar[bool] = False
    # For the pages: what is read, in a sentence; the ways in (none: credential_names as they are); whether a person
    # says which tables are read; and what to do over there so that webhooks come.
    about: ClassVar[str] = ""
    ways: ClassVar[Sequence[Way]] = ()
    has_tables: ClassVar[bool] = False
    webhook_how_to: ClassVar[Sequence[str]] = ()

    def __init__(self, link: Link) -> None:
        self.link = link

    @abstractmethod
    def check(self) -> str:
        """Try the credentials; one sentence on what was found. CrmError says what is wrong."""

    @abstractmethod
    def streams(self) -> Sequence[Stream]:
        """What can be read, in the order in which it has to be taken in."""

    @abstractmethod
    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        """Records changed at or after `since` (None: all), from `position` (None: the beginning) on."""

    @abstractmethod
    def ids(self, stream: str, position: Position | None) -> IdPage:
        """The ids that exist now. NotShown where the system does not tell; a page without ids says that none are left."""

    @abstractmethod
    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        """These records as they are now; those that are gone are missing from the answer."""

    def sample(self, stream: str) -> Sequence[Record]:
        """Some records to show a person; to be had at once, unlike a first page that is prepared over there."""
        return self.pull(stream, None, None).records

    def fields(self, stream: str) -> Sequence[Field]:
        """What could be mapped; nothing where the first records show it."""
        return ()

    def tables(self) -> Sequence[Table]:
        """What can be chosen from, where `has_tables`."""
        return ()

    def sign_in_address(self, back: str, state: str, proof: Mapping[str, str]) -> str:
        """Where a person agrees that we may read, for a way that `signs_in`; they come back to `back`. `proof` is to be
        sent along (nothing unless the system `takes_proof`)."""
        raise CrmError(f"{self.label} has no such sign-in.")

    def take_code(self, code: str, back: str, proof: Mapping[str, str]) -> Renewed:
        """The first credentials, for the code that the person came back with; `proof` is to be sent along."""
        raise CrmError(f"{self.label} has no such sign-in.")

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """Tell the system; one result per change."""
        raise CrmError(f"{self.label} is only read.")

    def verify_webhook(self, call: WebhookCall, now: dt.datetime) -> Sequence[Hint]:
        """What a genuine call hints at; WebhookRefused when it is not genuine."""
        raise WebhookRefused(f"{self.label} has no webhooks.")

    def refresh(self, credentials: Mapping[str, str]) -> Renewed | None:
        """Fresh credentials; None where they do not expire."""
        return None

    def auth_headers(self) -> Mapping[str, str]:
        """The headers that sign in a call, from `link.secrets`."""
        return {}

    def close(self) -> None:  # noqa: B027 - most have nothing open
        """Let go of what is open."""
