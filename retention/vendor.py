"""The front-end files of npm packages, one by one: of a package with hundreds of files the pages use two or three."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage, Storage


class VendorFinder(BaseFinder):
    """Finds what settings.VENDOR_FILES names: {folder below vendor/: (folder in node_modules, patterns)}."""

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Pages without their style sheet are a fault of the installation, said at once."""
        missing = [
            source for source, patterns in settings.VENDOR_FILES.values() if not _files(source, patterns)
        ]
        if not missing:
            return []
        names = ", ".join(missing)
        return [Error(f"Front-end packages are missing ({names}); run 'make install'.", id="retention.E001")]

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Storage]]:
        for folder, (source, patterns) in settings.VENDOR_FILES.items():
            storage = _PackageStorage(settings.NODE_MODULES / source, f"vendor/{folder}")
            for name in _files(source, patterns):
                yield name, storage

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        found = []
        for folder, (source, patterns) in settings.VENDOR_FILES.items():
            name = path.removeprefix(f"vendor/{folder}/")
            if name != path and name in _files(source, patterns):
                found.append(str(settings.NODE_MODULES / source / name))
        return found if find_all else next(iter(found), None)


class _PackageStorage(FileSystemStorage):
    """One package's folder; collectstatic puts its files below the prefix."""

    def __init__(self, location: Path, prefix: str) -> None:
        super().__init__(location=location)
        self.prefix = prefix


def _files(source: str, patterns: tuple[str, ...]) -> Sequence[str]:
    root = Path(settings.NODE_MODULES / source)
    return sorted(str(path.relative_to(root)) for pattern in patterns for path in root.glob(pattern))
