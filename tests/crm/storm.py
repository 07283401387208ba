"""The fault sweep of a connector: every request fails once, and the end state is the one of a calm sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.crm import link
from accounts.models import Account, Connection, Contact, Contract, Order, Product
from accounts.models.crm import SyncState
from tests.crm.servers.base import Request, World
from tests.crm.syncing import end_state, sync

FAULTS = ("cut", "truncate", "short", "429", "500", "502")


def weather(
    world: World,
    connect: Callable[[str], Connection],
    monkeypatch: pytest.MonkeyPatch,
    at_least: int,
    expire: Callable[[], None] | None = None,
) -> None:
    """Sync calmly, then once more on a connection of its own with each request failing the first time it is made, in
    one way after the other; the worker puts the step down each time. At least so many requests failed. `expire` makes
    the token run out, where tokens do."""
    before = undisturbed(connect("calm"))
    assert before["orders"]
    monkeypatch.setattr(link, "TRIES", 1)
    world.requests.clear()
    met = disturb(world, expire)
    stormy = connect("stormy")

    run = sync(stormy)

    assert (run.state, run.message) == (SyncState.DONE, "")
    assert len(met) >= at_least
    assert end_state(stormy) == before


def undisturbed(connection: Connection) -> dict[str, list[Any]]:
    """The end state of a sync that nothing happens to; what it brought is taken out again."""
    run = sync(connection)
    assert (run.state, run.message) == (SyncState.DONE, "")
    state = end_state(connection)
    assert state["accounts"]
    for model in (Order, Contract, Contact, Account, Product):
        model.objects.all().delete()
    return state


def disturb(world: World, expire: Callable[[], None] | None = None) -> list[str]:
    """Let each request fail the first time it is made, every tenth by an expired token where there is `expire`; the
    list of those that did grows as they come."""
    met: list[str] = []

    def first_time(request: Request) -> str:
        what = f"{request.path} {sorted(request.values.items())} {_plain(request.body)}"
        if what in met:
            return ""
        met.append(what)
        if expire is not None and len(met) % 10 == 3:
            expire()
            return ""
        return FAULTS[len(met) % len(FAULTS)]

    world.fault = first_time
    return met


def _plain(body: Any) -> str:
    return "" if body is None else str(body)
