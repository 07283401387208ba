"""benchmark NAME: measure, print, and keep the figures as JSON."""

from __future__ import annotations

import importlib
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

# name -> module of retention.benchmarks with add_arguments(parser) and run(chosen) -> figures
NAMES = {
    "api": "api",
    "cadence": "cadence",
    "import": "import_",
    "score": "score",
    "sync": "sync",
    "web": "web",
}


class Command(BaseCommand):
    help = "Measure this installation; docs/benchmarks.md says what each name measures."

    def add_arguments(self, parser: CommandParser) -> None:
        names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
        for name, module in NAMES.items():
            one = names.add_parser(name, help=(_module(module).__doc__ or "").partition("\n")[0])
            one.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
            _module(module).add_arguments(one)

    def handle(self, *args: Any, **chosen: Any) -> None:
        figures = _module(NAMES[chosen["name"]]).run(Namespace(**chosen))
        for name, value in figures.items():
            shown = (
                f"{value:,.3f}"
                if isinstance(value, float)
                else f"{value:,}"
                if isinstance(value, int)
                else value
            )
            self.stdout.write(f"{name:<32}{shown:>16}")
        if chosen["json"]:
            chosen["json"].write_text(json.dumps(figures, indent=1) + "\n")


def _module(name: str) -> Any:
    return importlib.import_module(f"retention.benchmarks.{name}")
