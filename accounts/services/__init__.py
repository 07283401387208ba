"""Writes to staff and customer records, one module per kind."""
