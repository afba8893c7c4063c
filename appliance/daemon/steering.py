# SPDX-License-Identifier: Apache-2.0
"""Keep the NICs' flow rules as the routes need them: added before the table that needs them, removed after it.

What is ours is in `steering.json` before it is in the NIC, so that it is found again after a crash. A rule that was
there before, by another hand and in the same words, is not ours.
"""

import logging
from collections.abc import Iterable

from appliance.config.steering import FlowRule, load_rules, render_rules
from appliance.config.worker_spec import WorkerFiles
from appliance.daemon.files import write_atomically
from appliance.errors import HostError
from appliance.host.flow_rules import RuleTable, add_rules, plan_rules, remove_rules

_log = logging.getLogger(__name__)


def add_steering(files: WorkerFiles, wanted: Iterable[FlowRule]) -> None:
    """Before a table is offered: what it needs, beside what the table in use needs. Raises HostError."""
    for interface, rules in _group(wanted).items():
        ours = _load(files)
        with RuleTable(interface) as table:
            planned = plan_rules(table, rules)
            if planned:
                _save(files, (*ours, *(rule for rule, _ in planned)))
                try:
                    add_rules(table, planned)
                except HostError:
                    _save(files, ours)
                    raise
                _log.info("interface %s: %d flow rules added", interface, len(planned))


def settle_steering(files: WorkerFiles, wanted: Iterable[FlowRule]) -> None:
    """After a table was acknowledged, or a worker has ended: ours that are not wanted any more go."""
    keep, ours = frozenset(wanted), _load(files)
    unwanted = [rule for rule in ours if rule not in keep]
    if not unwanted:
        return
    for interface, rules in _group(unwanted).items():
        try:
            with RuleTable(interface) as table:
                remove_rules(table, rules)
            _log.info("interface %s: %d flow rules removed", interface, len(rules))
        except HostError as error:
            _log.warning("not removed: %s", error)  # gone with the interface, or seen in `ethtool -n`
    _save(files, [rule for rule in ours if rule in keep])


def _group(rules: Iterable[FlowRule]) -> dict[str, list[FlowRule]]:
    by_interface: dict[str, list[FlowRule]] = {}
    for rule in dict.fromkeys(rules):
        by_interface.setdefault(rule.interface, []).append(rule)
    return by_interface


def _load(files: WorkerFiles) -> tuple[FlowRule, ...]:
    try:
        return load_rules(files.steering)
    except (OSError, ValueError) as error:
        _log.warning("%s: unreadable, the flow rules in it stay in the NIC: %s", files.steering, error)
        return ()


def _save(files: WorkerFiles, rules: Iterable[FlowRule]) -> None:
    write_atomically(files.steering, render_rules(dict.fromkeys(rules)))
