"""Errors a user can act on: each says what was found, where, what was expected and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DatasetError(ValueError):
    """The data do not keep to the project's conventions."""


class FileError(DatasetError):
    """A file cannot be used; the message is one line that names the file, the fault and the place."""

    def __init__(self, path: str | Path, what: str, *, where: str = "", todo: str = "") -> None:
        self.path = Path(path)
        place = f" ({where})" if where else ""
        advice = f"; {todo}" if todo else ""
        super().__init__(f"{printable(self.path.name)}: {what}{place}{advice}")


def printable(name: str) -> str:
    """A name on one line: a line break or another control character in it is written as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)


class UnknownFormat(FileError):
    """No reader recognises the content of the file."""


class UnreadableFile(FileError):
    """A reader recognises the file, but the content is damaged, truncated or of an unsupported kind."""


class StudyError(DatasetError):
    """A study folder, its `study.toml` or its plan cannot be used as it is."""


class StoreError(DatasetError):
    """The store cannot do what was asked: no such unit or version, a name that cannot be one, a folder that is no store."""


class StoreConflict(StoreError):
    """Another writer published first; nothing was changed. Look at the current version and decide again."""


class DamagedStore(StoreError):
    """Something that was published is lost or altered; it is never read as if it were data."""


class Faults:
    """Collects every fault of one thing, so that a person mends all of them in one go."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.found: list[str] = []

    def add(self, fault: str) -> None:
        self.found.append(fault)

    def raise_if_any(self, kind: type[DatasetError] = DatasetError) -> None:
        if self.found:
            raise kind(f"{self.subject}: " + "; ".join(self.found))


@contextmanager
def all_faults(subject: str, kind: type[DatasetError] = DatasetError) -> Iterator[Faults]:
    """Raise one error with all faults that were added inside the block."""
    faults = Faults(subject)
    yield faults
    faults.raise_if_any(kind)
