# SPDX-License-Identifier: Apache-2.0
"""What was applied, kept so that a crash at any point leaves one whole configuration.

`generation.json` is the commit: it names by SHA-256 the text that is active. Of the files that may hold this
text (`active.yaml`, `last-good.yaml`) the first that does is taken, so an `active.yaml` written just before a
crash, or damaged after it, is not.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.config.load import Loaded, compute_digest, parse_config
from appliance.daemon.counters import WorkerCounters
from appliance.daemon.files import remove_durably, write_atomically
from appliance.errors import ConfigError, StoreError


class Generation(BaseModel):
    """The commit record, `generation.json`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    generation: int = Field(ge=1)
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    """SHA-256 of the active text."""
    configured: str
    """The file the text came from, as given to `run` or `apply`."""
    worker_counters: WorkerCounters = {}
    discover: bool = False
    """Whether flows without a route are listed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The active configuration with its commit record."""

    loaded: Loaded
    record: Generation


class Store:
    """The state directory. Every write is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def active(self) -> Path:
        return self._folder / "active.yaml"

    @property
    def last_good(self) -> Path:
        return self._folder / "last-good.yaml"

    @property
    def staged(self) -> Path:
        """There only while it is being applied."""
        return self._folder / "staged.yaml"

    @property
    def generation(self) -> Path:
        return self._folder / "generation.json"

    def load(self) -> Stored | None:
        """What is active; None where nothing was ever applied. Raises StoreError where nobody can tell."""
        record = self.load_generation()
        if record is None:
            return None
        for path in (self.active, self.last_good):
            text = _load_text(path)
            if text is None or compute_digest(text) != record.digest:
                continue
            try:
                return Stored(parse_config(text, record.configured), record)
            except ConfigError as error:
                raise StoreError(
                    f"{path}: this version refuses the active configuration; write it anew and remove "
                    f"{self._folder}: {error.message}"
                ) from error
        raise StoreError(
            f"{self._folder}: neither active.yaml nor last-good.yaml is the text of generation "
            f"{record.generation} (SHA-256 {record.digest[:12]}…); restore one of them, or remove "
            f"{self.generation} to start anew"
        )

    def load_generation(self) -> Generation | None:
        """The commit record alone; None where nothing was ever applied."""
        text = _load_text(self.generation)
        if text is None:
            return None
        try:
            return Generation.model_validate_json(text)
        except ValidationError as error:
            raise StoreError(
                f"{self.generation}: damaged ({error.errors()[0]['msg']}); remove it to start anew"
            ) from None

    def stage(self, text: str) -> None:
        """Keep what is about to be applied, for whoever looks after a crash."""
        self._write(self.staged, text)

    def unstage(self) -> None:
        """It was applied or refused."""
        try:
            remove_durably(self.staged)
        except OSError as error:
            raise self._build_error(self.staged, error) from error

    def save(self, loaded: Loaded, record: Generation) -> None:
        """Commit: from now on this is what is active, and what was last good."""
        self._write(self.active, loaded.text)
        self.save_generation(record)
        self._write(self.last_good, loaded.text)

    def save_generation(self, record: Generation) -> None:
        """Commit another generation of the same text."""
        self._write(self.generation, record.model_dump_json(indent=1) + "\n")

    def _write(self, path: Path, text: str) -> None:
        try:
            self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_atomically(path, text)
        except OSError as error:
            raise self._build_error(path, error) from error

    def _build_error(self, path: Path, error: OSError) -> StoreError:
        return StoreError(
            f"{path}: {error.strerror}; make {self._folder} writable or choose another --state-dir"
        )


def _load_text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; run as root") from error
