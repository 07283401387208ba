"""The systems that can be connected: the folders here that hold a connector."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from accounts.crm.errors import CrmError
from accounts.crm.protocol import Connector


def known_systems() -> list[str]:
    """Their names, in alphabetical order."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/connector.py"))


def connector_class(system: str) -> type[Connector]:
    """The connector of a system. CrmError when there is none."""
    if system not in known_systems():
        raise CrmError(f"There is no connector for '{system}'; there are {', '.join(known_systems())}.")
    found: type[Connector] = import_module(f"accounts.crm.{system}.connector").Connector
    return found
