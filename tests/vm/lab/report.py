# SPDX-License-Identifier: Apache-2.0
"""What the lab found: checks, figures and seconds, as text for people and JSON for machines."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """One thing that had to hold."""

    name: str
    passed: bool
    detail: str


@dataclass
class Report:
    """Filled while the lab runs; `facts` are what a reader must know to judge the checks."""

    facts: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    phases_s: dict[str, float] = field(default_factory=dict)
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """Every check held, there was at least one, and nothing ended the run early."""
        return self.problem is None and bool(self.checks) and all(check.passed for check in self.checks)

    def check(self, name: str, passed: bool, detail: str) -> bool:
        """Record a check and say it at once; returns `passed`."""
        self.checks.append(Check(name, passed, detail))
        say(f"  {'ok  ' if passed else 'FAIL'} {name}: {detail}")
        return passed

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a part of the run, also when it fails."""
        say(f"lab: {name}")
        start = time.monotonic()
        try:
            yield
        finally:
            self.phases_s[name] = round(time.monotonic() - start, 1)

    def render_text(self) -> str:
        """The report at the end of a run."""
        lines = ["", "Lab report", "=========="]
        width = max((len(name) for name in [*self.facts, *self.phases_s]), default=0)
        lines += [f"{name:<{width}}  {value}" for name, value in self.facts.items()]
        lines += ["", "Seconds"]
        lines += [f"{name:<{width}}  {seconds:7.1f}" for name, seconds in self.phases_s.items()]
        lines += [f"{'total':<{width}}  {sum(self.phases_s.values()):7.1f}", "", "Checks"]
        lines += [
            f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.detail}" for check in self.checks
        ]
        failed = sum(not check.passed for check in self.checks)
        if self.problem:
            lines += ["", f"ended early: {self.problem}"]
        lines += ["", f"{len(self.checks) - failed} passed, {failed + bool(self.problem)} failed"]
        return "\n".join(lines)

    def render_json(self) -> str:
        """The same as a document: facts, phases_s, checks, problem, passed."""
        document = {
            "passed": self.passed,
            "problem": self.problem,
            "facts": self.facts,
            "phases_s": self.phases_s,
            "checks": [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in self.checks],
        }
        return json.dumps(document, indent=2) + "\n"

    def write_json(self, path: Path) -> None:
        """Write the document, making the folder where it is missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.render_json())


def say(line: str) -> None:
    """Progress for whoever waits."""
    print(line, file=sys.stderr, flush=True)
