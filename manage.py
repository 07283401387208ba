#!/usr/bin/env python
"""Mainstay's commands. Those that need the database find its servers running: PostgreSQL and Valkey from
Python wheels, unless DATABASE_URL and REDIS_URL name others."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType

BASE_DIR = Path(__file__).resolve().parent
# `up` starts the servers itself, after it has looked whether its port is free.
WITHOUT_SERVERS = {
    "",
    "up",
    "help",
    "version",
    "check",
    "collectstatic",
    "findstatic",
    "spectacular",
    "diffsettings",
}


def main(arguments: list[str]) -> int:
    """Run one command; whatever ends it, the servers it started end with it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "retention.settings")
    from retention.embedded import EmbeddedError

    try:
        with _servers(arguments):
            return _run(arguments)
    except EmbeddedError as failure:
        return _say(str(failure))
    except KeyboardInterrupt:
        _say("Stopped.")
        return 128 + signal.SIGINT


def _servers(arguments: list[str]) -> contextlib.AbstractContextManager[object]:
    """The embedded servers the command needs and the environment does not replace."""
    import environ

    from retention.embedded import servers

    environ.Env.read_env(BASE_DIR / ".env")
    name = next((word for word in arguments if not word.startswith("-")), "")
    asks_for_help = {"-h", "--help", "--version"} & set(arguments)
    database, broker = not os.environ.get("DATABASE_URL"), not os.environ.get("REDIS_URL")
    if name in WITHOUT_SERVERS or asks_for_help or not (database or broker):
        return contextlib.nullcontext()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    data_dir = Path(os.environ.get("MAINSTAY_DATA_DIR") or BASE_DIR / "var")
    return servers(data_dir, database=database, broker=broker)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(arguments: list[str]) -> int:
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    try:
        execute_from_command_line([sys.argv[0], *arguments])
    except ImproperlyConfigured as failure:
        return _say(str(failure))
    except (OperationalError, ProgrammingError) as failure:
        if "--traceback" in arguments:
            raise
        return _say(_database_sentence(failure))
    return 0


def _database_sentence(failure: Exception) -> str:
    state = getattr(failure.__cause__, "pgcode", None)
    if state in {"42P01", "42703"}:  # no such table, no such column
        return "The database's tables are not those of this version; run 'python manage.py migrate' first."
    reason = str(failure).strip().partition("\n")[0]
    return f"PostgreSQL refused: {reason} (--traceback shows where)."


def _say(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
