"""The way to another system over HTTPS: guarded, paced, patient, signed in; and its credentials.

Asked again, with growing pauses: broken or slow connections, 5xx, 429, answers that end too early or are no JSON. A
Retry-After is kept, by all workers. After 401 the credentials are renewed once. Redirects are not followed: an
interface has one address, and a redirect is how a request is led to a place it must not reach.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from accounts.crm.errors import CrmError, SignInRefused, TryLater
from accounts.crm.guard import check_url, pinned_address
from accounts.crm.limits import LONGEST_WAIT, Pace
from accounts.crm.mapping import fields_of
from accounts.crm.protocol import Connector, Renewed, Stream
from accounts.crm.vault import Secrets, seal, unseal
from accounts.models import Connection, FieldMap

CREDENTIAL_LOCK = 7401  # advisory: (CREDENTIAL_LOCK, connection id) is held while credentials are renewed
TRIES = 4
BACK_OFF = 0.5  # seconds before the second try; doubled each time
TIMEOUT = 30.0
LONGEST_ANSWER = 120.0
LARGEST_ANSWER = 64 * 1024**2
SIGN_OF_LIFE = 5.0  # seconds after which the lease of the step is prolonged again
RENEW_BEFORE = dt.timedelta(minutes=2)
SHOWN = 200


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed; reading them takes longer than a call."""
    return httpx.create_ssl_context(trust_env=False)


class GuardedTransport(httpx.BaseTransport):
    """Connects to the address that was checked, under the name that was asked for."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport(verify=_trusted(), retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        address = pinned_address(host, port, settings.CRM_PRIVATE_HOSTS)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that could be read."""

    status: int
    data: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def date(self) -> dt.datetime | None:
        """The other side's clock."""
        return read_http_date(self.headers.get("date", ""))


class Transient(Exception):
    """Ask again; after `seconds` where the other side said so."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


def read_http_date(text: str) -> dt.datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which may name seconds or a moment (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    moment = read_http_date(text)
    return None if moment is None else max((moment - timezone.now()).total_seconds(), 0.0)


class Link:
    """What a connector works with: `options`, `secrets`, and `call`. `still_here` is run before
    waits, every few seconds, so that whoever watches knows that the worker lives."""

    def __init__(self, connection: Connection, still_here: Callable[[], None] = lambda: None) -> None:
        self.connection_id = connection.pk
        self.connection = connection
        self.options: dict[str, Any] = connection.options
        self.still_here = still_here
        self.secrets = unseal(connection.sealed_credentials)
        self.expire_at = connection.credentials_expire_at
        self.connector: Connector | None = None
        self._client: httpx.Client | None = None
        self._lived = float("-inf")

    def attach(self, connector: Connector) -> None:
        """Tell the link for whom it signs in and at which pace."""
        self.connector = connector
        self.pace = Pace(self.connection, connector.calls_per_second, connector.burst)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        if self.connector is not None:
            self.connector.close()

    # Calls ------------------------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
        signs_in: bool = True,
        raw: bool = False,
    ) -> Reply:
        """One call, however often it has to be asked. Statuses from 400 on raise, except those in `accept`. `raw`: the
        answer is a file, and is given as bytes.

        Raises TryLater when it may work later, SignInRefused and CrmError when it will not.
        """
        check_url(url, settings.CRM_PRIVATE_HOSTS)
        request = {"params": params, "json": body, "data": form, "headers": headers}
        renewed = False
        for attempt in range(TRIES):
            self._live()
            self.pace.wait()
            self._live()
            try:
                reply = self._once(method, url, request, signs_in, raw)
            except Transient as problem:
                self._pause(attempt, problem)
                continue
            if reply.status == 401 and signs_in and not renewed and self.renew():
                renewed = True
                continue
            return self._judged(reply, accept)
        raise TryLater("The system did not answer in a usable way.", 60)

    def _live(self) -> None:
        """Say that the worker lives, unless that was said a moment ago: a commit for each call would cost more than
        the call."""
        if time.monotonic() - self._lived > SIGN_OF_LIFE:
            self.still_here()
            self._lived = time.monotonic()

    def _once(self, method: str, url: str, request: Mapping[str, Any], signs_in: bool, raw: bool) -> Reply:
        given = {name: value for name, value in request.items() if value is not None}
        headers = Secrets({**given.pop("headers", {}), **(self._sign_in() if signs_in else {})})
        began = time.monotonic()
        try:
            with self._http().stream(method, url, headers=headers, **given) as answer:
                content = self._content(answer, began)
        except (httpx.TransportError, httpx.DecodingError) as problem:
            raise Transient(f"{type(problem).__name__}: the connection broke or was too slow") from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise Transient(f"answered {answer.status_code}", retry_after(answer.headers))
        if 300 <= answer.status_code < 400:
            raise CrmError("The system answered with a redirect, which is not followed; check the address.")
        if answer.status_code >= 400:
            content = self.secrets.scrub(content.decode("utf-8", "replace")).encode()
        is_file = raw and answer.status_code < 400
        data = content if is_file else _read_json(answer, content)
        return Reply(answer.status_code, data, answer.headers)

    def _content(self, answer: httpx.Response, began: float) -> bytes:
        parts, size = [], 0
        for part in answer.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > LARGEST_ANSWER:
                raise CrmError("The system answered with more than 64 MB at once; ask for smaller pages.")
            if time.monotonic() - began > LONGEST_ANSWER:
                raise Transient("the answer came too slowly")
            self._live()
        return b"".join(parts)

    def _pause(self, attempt: int, problem: Transient) -> None:
        """Wait before the next try; TryLater after the last, or when the wait is too long to be sat out."""
        seconds = problem.seconds
        if seconds is not None:
            self.pace.block(seconds)
        else:
            seconds = BACK_OFF * 2**attempt * (0.5 + random.random())
        if attempt + 1 == TRIES or seconds > LONGEST_WAIT:
            raise TryLater(self.secrets.scrub(f"The system {problem}.")[:SHOWN], max(seconds, 1.0))
        self._live()
        time.sleep(seconds)

    def _judged(self, reply: Reply, accept: tuple[int, ...]) -> Reply:
        if reply.status < 400 or reply.status in accept:
            return reply
        said = _said(reply.data)
        if reply.status == 401:
            raise SignInRefused(f"The system does not accept the credentials any more ({said}).")
        if reply.status == 403:
            raise SignInRefused(f"The credentials do not allow this ({said}).")
        raise CrmError(f"The system answered {reply.status}: {said}")

    def _http(self) -> httpx.Client:
        if self._client is None:
            timeout = httpx.Timeout(TIMEOUT, connect=5.0, write=5.0)
            self._client = httpx.Client(
                transport=GuardedTransport(), timeout=timeout, follow_redirects=False, trust_env=False
            )
        return self._client

    def remember(self, options: Mapping[str, Any]) -> None:
        """Keep what a connector found out about its system."""
        self.options.update(options)
        with transaction.atomic():
            row = Connection.objects.select_for_update().get(pk=self.connection_id)
            row.options |= options
            row.save(update_fields=["options", "updated_at"])

    def mapped_fields(self, shipped: Stream) -> set[str]:
        """The fields of the other system that the map of a stream reads: the saved one, else the one proposed."""
        saved = FieldMap.objects.filter(connection_id=self.connection_id, stream=shipped.name).first()
        if saved is not None:
            return set(fields_of(saved.columns, saved.only_if))
        return set(fields_of(shipped.columns, shipped.only_if))

    # Credentials ------------------------------------------------------------------------------------------------

    def _sign_in(self) -> Mapping[str, str]:
        assert self.connector is not None
        if self.expire_at is not None and self.expire_at - RENEW_BEFORE <= timezone.now():
            self.renew()
        return self.connector.auth_headers()

    def renew(self) -> bool:
        """Renew the credentials, once for all workers; False when they are what they were.

        Whoever comes second waits for the lock and finds fresh ones. The new ones are stored in the transaction
        that holds the lock.
        """
        assert self.connector is not None
        with transaction.atomic():
            with database.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_advisory_xact_lock(%s, %s)", [CREDENTIAL_LOCK, self.connection_id % 2**31]
                )
            row = Connection.objects.get(pk=self.connection_id)
            stored = unseal(row.sealed_credentials)
            if dict(stored) != dict(self.secrets):
                self.secrets, self.expire_at = stored, row.credentials_expire_at
                return True
            renewed = self.connector.refresh(stored)
            if renewed is None:
                return False
            self._store(stored, renewed)
        return True

    def _store(self, stored: Secrets, renewed: Renewed) -> None:
        self.secrets = Secrets({**stored, **renewed.credentials})
        self.expire_at = renewed.expire_at
        Connection.objects.filter(pk=self.connection_id).update(
            sealed_credentials=seal(self.secrets),
            credentials_expire_at=renewed.expire_at,
            updated_at=timezone.now(),
        )


def _read_json(answer: httpx.Response, content: bytes) -> Any:
    """The answer as JSON, or as text where it is a table (CSV); an answer that is neither came to us in part."""
    if not content:
        return None
    if answer.status_code < 400 and answer.headers.get("content-type", "").startswith("text/csv"):
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise Transient("answered with a text that ends in the middle") from None
    try:
        return json.loads(content)
    except ValueError:
        if answer.status_code < 400:
            raise Transient("answered with something that is no whole JSON") from None
        return {"message": content[:SHOWN].decode("utf-8", "replace")}


def _said(data: Any) -> str:
    """What the system said about a failure, in one line."""
    if isinstance(data, list) and data:
        data = data[0]
    said = data if isinstance(data, dict) else {}
    names = ("message", "error_description", "error", "errors")
    text = next((said[name] for name in names if said.get(name)), "")
    if isinstance(text, dict):
        text = text.get("message", "")
    return " ".join(str(text).split())[:SHOWN] or "no reason given"
