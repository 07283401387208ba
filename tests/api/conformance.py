"""Every operation of the schema, called with what schemathesis makes up, as one person; what goes wrong is collected.

Ids in the address and in bodies are exchanged for ones that exist, and a made-up If-Match is left out, most of the time:
either would end the call before it tests anything. The effect of each call is rolled back, so that the next one meets the same world.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = "/api/v1/schema/"


@dataclass
class Tally:
    """How many calls were made, how they were answered, and what was wrong (once per operation and fault)."""

    cases: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        self.cases += other.cases
        self.answers += other.answers
        self.faults |= other.faults


@contextlib.contextmanager
def one_connection() -> Iterator[None]:
    """Requests leave the database connection of the test open, as those of Django's own test client do."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


@one_connection()
def walk(
    secret: str,
    ids: Mapping[str, Sequence[int | str]],
    *,
    cases: int,
    seed: int,
    part: int = 0,
    parts: int = 1,
) -> Tally:
    """Call each operation `cases` times with fitting data and, where it takes any, as often with data that does not fit.
    `ids` are those that exist, by the name they have in addresses and bodies ("handbacks", "account_id"). With `parts`, every
    so manieth operation from `part` on."""
    headers = {"Authorization": f"Token {secret}", "Host": "localhost"}
    schema = schemathesis.openapi.from_wsgi(SCHEMA, get_wsgi_application(), headers=headers)
    tally, chance = Tally(), random.Random(seed)
    for found in itertools.islice(schema.get_all_operations(), part, None, parts):
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode == GenerationMode.NEGATIVE and not _takes_data(operation):
                continue
            _ask(operation, mode, headers, ids, tally, chance, cases, seed)
    return tally


def _takes_data(operation: Any) -> bool:
    return bool(len(operation.query) or len(operation.body))


def _ask(
    operation: Any,
    mode: GenerationMode,
    headers: dict[str, str],
    ids: Mapping[str, Sequence[int | str]],
    tally: Tally,
    chance: random.Random,
    cases: int,
    seed: int,
) -> None:
    @seeded(seed)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        _make_real(case, ids, chance)
        cache.clear()  # nothing that a call kept whose effect is undone
        with transaction.atomic():
            response = case.call(headers=headers)
            transaction.set_rollback(True)
        tally.cases += 1
        tally.answers[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except (Failure, FailureGroup) as failure:
            parts = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
            for part in parts:
                key = f"{operation.label} {response.status_code} {getattr(part, 'title', part)}"
                tally.faults.setdefault(key, f"{part}\n{case.as_curl_command()}"[:3000])

    ask()


def _make_real(case: Case, ids: Mapping[str, Sequence[int | str]], chance: random.Random) -> None:
    """Most of the time name records that exist, and do not ask for a state of theirs that never was."""
    kind = case.operation.path.removeprefix("/api/v1/").partition("/")[0]
    for name in case.path_parameters or {}:
        known = ids.get(name) or ids.get(kind)
        if known and chance.random() < 0.9:
            case.path_parameters[name] = chance.choice(known)
    if "If-Match" in (case.headers or {}) and chance.random() < 0.8:
        del case.headers["If-Match"]
    if isinstance(case.body, dict):
        for name in set(case.body) & set(ids):
            if chance.random() < 0.7:
                case.body[name] = chance.choice(ids[name])
