"""One limit of calls, however many web processes share it."""

import logging
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from redis import ResponseError

from accounts.limits import AWAY, MINUTE, calls_in_this_minute
from tests.conftest import BASE_DIR, broker

COUNT = """
import sys, django
django.setup()
from accounts.limits import calls_in_this_minute
print(*(calls_in_this_minute(sys.argv[1]) for _ in range(3)))
"""


@pytest.fixture(autouse=True)
def counted_together() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()  # what was away in one test is there in the next


def test_processes_count_together() -> None:
    minute, counted = -1, list[str]()
    while minute != time.time() // MINUTE:  # all of it has to fall into one
        minute, who = int(time.time() // MINUTE), str(uuid.uuid4())
        counted = [_another_process_counts(who), _another_process_counts(who)]
    assert counted == ["1 2 3", "4 5 6"]


def _another_process_counts(who: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, who], cwd=BASE_DIR, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_counts_are_forgotten() -> None:
    """The server evicts nothing: what is counted there has to go by itself."""
    calls_in_this_minute("somebody")
    (key,) = broker().keys("mainstay:calls:*")
    assert 0 < broker().ttl(key) <= MINUTE


@pytest.mark.parametrize("address", ["unix:///nowhere/valkey.sock", "redis://127.0.0.1:1/0"])
def test_without_the_server_each_process_counts_and_says_so_once(
    settings: Any, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    settings.REDIS_URL = address
    counted = [calls_in_this_minute(address) for _ in range(5)]
    assert max(counted) > 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "counted in each web process" in caplog.text


def test_a_server_that_came_back_counts_again(settings: Any) -> None:
    there, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/valkey.sock"
    calls_in_this_minute("somebody")
    settings.REDIS_URL = there
    assert broker().keys("mainstay:calls:somebody:*") == []
    cache.delete(AWAY)  # as after half a minute
    calls_in_this_minute("somebody")
    assert len(broker().keys("mainstay:calls:somebody:*")) == 1


def test_a_server_that_takes_no_more_is_as_good_as_away(caplog: pytest.LogCaptureFixture) -> None:
    """Full, and told to evict nothing: it answers, but counts nothing."""
    server, most = broker(), int(broker().config_get("maxmemory")["maxmemory"])
    server.config_set("maxmemory", 1)
    try:
        with pytest.raises(ResponseError, match="maxmemory"):
            server.set("anything", 1)
        assert calls_in_this_minute("somebody") >= 1
    finally:
        server.config_set("maxmemory", most)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
