# SPDX-License-Identifier: Apache-2.0
"""The store: at every point where the daemon may be killed, one whole configuration is found."""

from pathlib import Path

import pytest

from appliance.config.load import Loaded, parse_config
from appliance.daemon.counters import RouteCounter
from appliance.daemon.store import Generation, Store
from appliance.errors import StoreError

TEXT = 'version: 1\nports: [{name: a, device: "memory:a"}]\n'


def load(text: str) -> Loaded:
    return parse_config(text, "/etc/c.yaml")


def record(loaded: Loaded, number: int) -> Generation:
    counters = {"main": {"r": RouteCounter(index=3, base_frames=1, base_bytes=2)}}
    return Generation(
        generation=number, digest=loaded.digest, configured=loaded.file, worker_counters=counters
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With generation 1."""
    made = Store(tmp_path / "state")
    made.save(load(TEXT), record(load(TEXT), 1))
    return made


def test_nothing_was_ever_applied(tmp_path: Path) -> None:
    assert Store(tmp_path / "state").load() is None


def test_what_was_saved_is_loaded(store: Store) -> None:
    stored = store.load()
    assert stored is not None
    assert stored.loaded == load(TEXT)
    assert stored.record == record(load(TEXT), 1)


@pytest.mark.parametrize("writes", range(6))
def test_killed_after_any_number_of_writes(
    store: Store, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Only the last write that was done counts; the text is always one that was saved whole."""
    done = 0

    class Killed(BaseException):
        pass

    from appliance.daemon import store as module

    write = module.write_atomically

    def write_or_die(path: Path, text: str) -> None:
        nonlocal done
        if done == writes:
            path.with_name(f".{path.name}.new").write_text(text[: len(text) // 2])
            raise Killed
        done += 1
        write(path, text)

    monkeypatch.setattr(module, "write_atomically", write_or_die)
    second = load(TEXT + "# second\n")
    try:
        store.stage(second.text)
        store.save(second, record(second, 2))
        committed = True
    except Killed:
        committed = done >= 3  # staged.yaml, active.yaml, generation.json
    stored = store.load()
    assert stored is not None
    assert stored.record.generation == (2 if committed else 1)
    assert stored.loaded.text == (second.text if committed else TEXT)


@pytest.mark.parametrize("damage", ["", "version: 1\n", "\x00" * 10, None])
def test_a_damaged_active_file(store: Store, damage: str | None) -> None:
    if damage is None:
        store.active.unlink()
    else:
        store.active.write_text(damage)
    stored = store.load()
    assert stored is not None
    assert stored.loaded.text == TEXT
    store.last_good.write_bytes(b"\xff\xfe")
    with pytest.raises(
        StoreError, match=r"neither active.yaml nor last-good.yaml is the text of generation 1"
    ):
        store.load()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"generation": 0}', '{"generation": "1"}'])
def test_a_damaged_commit_record(store: Store, damage: str) -> None:
    store.generation.write_text(damage)
    with pytest.raises(StoreError, match=r"damaged .*; remove it to start anew"):
        store.load()


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match=r"make .* writable or choose another --state-dir"):
        Store(tmp_path / "state").stage(TEXT)
