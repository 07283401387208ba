"""Every page of an installation without customers, pages for people who do not sign in, and pages without scripts."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from accounts.models.care import PromisePage
from pulsecheck.models import ProofPage
from tests.browser.walk import PAGES, VIEWS, Axe, Open, faults_of, look
from tests.factories import AdministratorFactory, PromiseFactory, ReferenceFactory


def test_empty(page_for: Open, axe: Axe) -> None:
    administrator = AdministratorFactory()
    addresses = {
        name: reverse(name, kwargs=dict(row.arguments)) for name, row in PAGES.items() if not row.record
    }
    faults = []
    for width, dark in VIEWS:
        page = page_for(administrator, width=width, dark=dark)
        faults += look(page, addresses, axe, f"empty-{width}-{'dark' if dark else 'light'}")
    assert not faults, "\n".join(["", *faults])


def test_signed_out(page_for: Open, axe: Axe) -> None:
    faults = []
    ReferenceFactory(quote="They ring before we notice.", shows_since=True)
    token = ProofPage.objects.create(title="Fair", created_by=AdministratorFactory()).link
    shared = PromiseFactory(is_shared=True)
    promises = PromisePage.objects.create(
        account=shared.account, token="known-to-the-customer", made_by=AdministratorFactory()
    ).link
    for width, dark in VIEWS:
        page = page_for(None, width=width, dark=dark)
        faults += faults_of(page, reverse("accounts:sign_in"), axe)
        faults += faults_of(page, reverse("retention:proof_page", args=[token]), axe)
        faults += faults_of(page, reverse("pulsecheck:promised", args=[promises]), axe)
    assert not faults, "\n".join(["", *faults])


@pytest.mark.parametrize("address", ["/", "/at-risk/", "/accounts/", "/handbacks/", "/pulse/", "/kpis/"])
def test_pages_do_their_work_without_javascript(
    page_for: Open, browser: Any, live_server: Any, address: str
) -> None:
    """The same words stand on the page when scripts are off."""
    administrator = AdministratorFactory()
    scripted = page_for(administrator)
    scripted.goto(address)
    cookies = scripted.context.cookies()
    plain = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    plain.add_cookies(cookies)
    page = plain.new_page()
    page.goto(address)
    assert page.locator("h1").inner_text() == scripted.locator("h1").inner_text()
    assert page.locator("main a[href], main button, main summary").count() >= 1
    plain.close()
