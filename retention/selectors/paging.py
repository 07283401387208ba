"""Keyset paging, see accounts/paging.py."""

from accounts.paging import Page, make_page, query_url

__all__ = ["Page", "make_page", "query_url"]
