"""Reads over planned contacts, pulse checks and handbacks."""
