"""Two-way sync with other systems: landing -> mapping -> the import door, and an outbox back (decisions/0015).

One folder per system with `connector.py` (a subclass of `protocol.Connector` called `Connector`) and nothing else
that the engine knows of. protocol, errors, mapping and guard are plain; vault, limits, link, landing, linking, intake,
runs, engine and outbox work on the database.
"""
