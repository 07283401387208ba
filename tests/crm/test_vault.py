"""Credentials are found nowhere, keys rotate, and addresses that must not be reached are not."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection as database
from django.views.debug import ExceptionReporter

from accounts.crm.errors import AddressRefused, CrmError, SignInRefused, TryLater
from accounts.crm.guard import check_url, pinned_address
from accounts.crm.vault import Secrets, rotate_all, seal, unseal
from accounts.models import Connection
from accounts.services.connecting import change_access
from accounts.services.crm import check_connection
from tests.crm.servers.hubspot import Server
from tests.crm.syncing import sync
from tests.crm.world import fill

Connect = Callable[..., Connection]
PLANTED = "planted-secret-b7f3e1"


def whole_database() -> str:
    """Every row of every table of ours as text."""
    with database.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [row[0] for row in cursor.fetchall()]
        told = []
        for name in names:
            cursor.execute(f'SELECT t::text FROM "{name}" t')  # noqa: S608
            told.extend(row[0] for row in cursor.fetchall())
    return "\n".join(told)


def found_in(text: bytes) -> list[bytes]:
    """The spellings of the planted secret that occur: as it is, as bytea is dumped, as a header carries it."""
    plain = PLANTED.encode()
    spellings = [plain, plain.hex().encode(), base64.b64encode(plain).rstrip(b"=")]
    return [spelling for spelling in spellings if spelling in text]


def server_files(folder: Path) -> bytes:
    """Everything the database server and its neighbours have on disk that holds the secret in any spelling."""
    with database.cursor() as cursor:
        cursor.execute("CHECKPOINT")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any("pg_wal" in path.parts for path in files)
    return b" ".join(spelling for path in files for spelling in found_in(path.read_bytes()))


def test_planted_secrets_are_found_nowhere(
    connect: Connect, server: Server, caplog: pytest.LogCaptureFixture, data_dir: Path
) -> None:
    """Not in a dump, plain, as hex or as base64, nor in any file of the database server, its journal and log among them;
    also when the other side repeats them in its error, in what was logged at the most talkative level, on the page Django
    shows for an error, and in a trace."""
    caplog.set_level(logging.DEBUG)
    fill(server.world, companies=2)
    connection = connect(access_token=PLANTED, client_secret=PLANTED + "-2")
    server.world.tokens = set()
    run = sync(connection)
    assert run.state == "failed"
    assert "***" in run.message  # the stand-in repeats the token it was given
    server.world.tokens = {PLANTED}
    assert sync(connection).state == "done"
    server.world.tokens = set()
    with pytest.raises(SignInRefused) as refused:
        check_connection(connection)
    page = ExceptionReporter(None, refused.type, refused.value, refused.tb).get_traceback_html()
    trace = "".join(traceback.format_exception(refused.value))
    connection.refresh_from_db()
    assert unseal(connection.sealed_credentials)["access_token"] == PLANTED
    for place, text in {
        "database": whole_database(),
        "log": caplog.text,
        "error page": page,
        "trace": trace,
        "repr": repr(connection.__dict__) + repr(unseal(connection.sealed_credentials)),
    }.items():
        assert found_in(text.encode()) == [], place
    assert found_in(server_files(data_dir)) == []


def test_keys_rotate_and_credentials_stay_readable(connect: Connect, settings: Any) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.CREDENTIAL_KEYS = [old]
    connection = connect(access_token=PLANTED)
    settings.CREDENTIAL_KEYS = [new, old]
    assert unseal(Connection.objects.get().sealed_credentials)["access_token"] == PLANTED
    call_command("rotate_credentials", verbosity=0)
    settings.CREDENTIAL_KEYS = [new]
    assert unseal(Connection.objects.get().sealed_credentials)["access_token"] == PLANTED
    settings.CREDENTIAL_KEYS = [old]
    connection.refresh_from_db()
    with pytest.raises(CrmError, match="enter them again"):
        unseal(connection.sealed_credentials)
    with pytest.raises(CrmError, match="enter them again"):
        rotate_all()


def test_without_keys_one_is_derived_from_the_secret_key(settings: Any) -> None:
    settings.CREDENTIAL_KEYS = []
    sealed = seal({"access_token": PLANTED})
    assert PLANTED not in sealed
    assert unseal(sealed)["access_token"] == PLANTED
    settings.SECRET_KEY = "another" * 10
    with pytest.raises(CrmError):
        unseal(sealed)


def test_new_credentials_replace_old_ones_by_name(connect: Connect) -> None:
    connection = connect(access_token="first")
    change_access(connection, options={}, credentials={"access_token": "second"}, user=None)
    stored = unseal(Connection.objects.get().sealed_credentials)
    assert dict(stored) == {"access_token": "second", "client_secret": "hush-client-secret"}
    with pytest.raises(CrmError, match="no credential called user"):
        change_access(connection, options={}, credentials={"user": "x"}, user=None)


def test_secrets_do_not_show_themselves() -> None:
    secrets = Secrets({"token": PLANTED, "short": "ab"})
    assert PLANTED not in f"{secrets} {secrets!r} {[secrets]}"
    assert secrets.scrub(f"bad {PLANTED} ab") == "bad *** ab"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://localhost/", "https://10.0.0.1/", "https://192.168.1.1/", "https://172.16.0.1/",
        "https://169.254.169.254/latest/meta-data/", "https://[::1]/", "https://[fe80::1]/", "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://2130706433/",
        "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://0.0.0.0/", "https://100.64.0.1/",
        "https://224.0.0.1/", "https://[::]/", "https://user:pass@93.184.216.34/", "http://93.184.216.34/",
        "ftp://93.184.216.34/", "file:///etc/passwd", "https://", "https://[oops/", "//93.184.216.34/",
    ],
)  # fmt: skip
def test_addresses_that_must_not_be_reached(url: str) -> None:
    with pytest.raises((AddressRefused, TryLater)):
        check_url(url)


def test_public_addresses_and_named_hosts_are_reached() -> None:
    assert check_url("https://93.184.216.34:8443/x") == ("93.184.216.34", 8443)
    assert check_url("http://10.1.2.3/", ["10.1.0.0/16"]) == ("10.1.2.3", 80)
    assert pinned_address("localhost", 80, ["localhost"]) in {"127.0.0.1", "::1"}
    with pytest.raises(AddressRefused):
        pinned_address("169.254.169.254", 80, ["169.254.169.254.nip.io"])


def test_a_redirect_is_not_followed(connect: Connect, server: Server) -> None:
    connection = connect()
    answer = server.world.answer
    server.world.answer = lambda request: (302, {"location": "http://169.254.169.254/"})  # type: ignore[method-assign]
    with pytest.raises(CrmError, match="redirect"):
        check_connection(connection)
    server.world.answer = answer  # type: ignore[method-assign]
