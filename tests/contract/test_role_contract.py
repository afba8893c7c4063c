# SPDX-License-Identifier: Apache-2.0
"""Roles, playbooks and examples say what the product and ARCHITECTURE.md say."""

import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from appliance.cli.main import app as appliance_app
from appliance.config.load import parse_config
from appliance.config.schema import Config
from appliance.daemon.folders import DEFAULT_CONFIG, DEFAULT_RUNTIME_DIR, DEFAULT_STATE_DIR
from driver_builds.cli.main import app as builds_app

ROOT = Path(__file__).parents[2]
ROLES = ("appliance", "netmap_drivers")
EXAMPLE = ROOT / "playbooks/inventory/example"
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
UNIT = (ROOT / "roles/appliance/templates/appliance.service.j2").read_text()
COMMAND = (ROOT / "roles/netmap_drivers/files/netmap-driver.sh").read_text()
# Read by ansible itself, not by a role.
CONNECTION_VARIABLES = {"ansible_host", "ansible_user"}


def load_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def load_options(role: str) -> dict[str, dict[str, Any]]:
    """Options of the role's main entry point."""
    specs = load_yaml(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    options: dict[str, dict[str, Any]] = specs["main"]["options"]
    return options


def load_defaults(role: str) -> dict[str, Any]:
    defaults: dict[str, Any] = load_yaml(ROOT / "roles" / role / "defaults/main.yml")
    return defaults


def list_known_names(role: str) -> set[str]:
    """What a role's files may use: options, derived variables, results of its own tasks."""
    folder = ROOT / "roles" / role
    texts = [path.read_text() for path in [*folder.glob("tasks/*.yml"), *folder.glob("handlers/*.yml")]]
    registered = {name for text in texts for name in re.findall(r"register: (\w+)", text)}
    assigned = {name for text in texts for name in re.findall(rf"^ +({role}_\w+):", text, re.MULTILINE)}
    return {*load_options(role), *load_yaml(folder / "vars/main.yml"), *registered, *assigned}


def list_flags(app: typer.Typer, command: str) -> set[str]:
    """Long options of a command; KeyError where the program has no such command."""
    # Typer's group is click's, or a copy that Typer brings: both have these attributes, and no class in common.
    group: Any = typer.main.get_command(app)
    parameters = group.commands[command].params
    return {flag for parameter in parameters for flag in parameter.opts if flag.startswith("--")}


@pytest.mark.parametrize("role", ROLES)
def test_every_option_has_a_default_or_is_required(role: str) -> None:
    required = {name for name, option in load_options(role).items() if option.get("required")}
    assert set(load_options(role)) == set(load_defaults(role)) | required
    assert not set(load_defaults(role)) & required


@pytest.mark.parametrize("role", ROLES)
def test_declared_defaults_are_the_defaults(role: str) -> None:
    declared = {name: option["default"] for name, option in load_options(role).items() if "default" in option}
    defaults = load_defaults(role)
    assert declared == {name: defaults[name] for name in declared}
    computed = {name for name in defaults if name not in declared}
    assert all("{{" in defaults[name] for name in computed), "only a computed default may be undeclared"


@pytest.mark.parametrize("role", ROLES)
def test_readme_lists_the_options(role: str) -> None:
    readme = (ROOT / "roles" / role / "README.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)) == set(load_options(role))


@pytest.mark.parametrize("role", ROLES)
def test_no_task_uses_an_unknown_variable(role: str) -> None:
    known = list_known_names(role)
    for path in sorted((ROOT / "roles" / role).rglob("*")):
        if path.suffix in (".yml", ".j2") and path.parent.name in (
            "tasks",
            "handlers",
            "vars",
            "templates",
            "defaults",
        ):
            for expression in re.findall(r"\{\{.*?\}\}|\{%.*?%\}|when: .*", path.read_text(), re.DOTALL):
                used = set(re.findall(rf"\b({role}_\w+)", expression))
                assert used <= known, f"{path.relative_to(ROOT)} uses {sorted(used - known)}"


@pytest.mark.parametrize("role", ROLES)
def test_task_files_are_short(role: str) -> None:
    for path in (ROOT / "roles" / role / "tasks").glob("*.yml"):
        assert len(path.read_text().splitlines()) <= 80, path


def test_unit_uses_the_daemons_folders() -> None:
    unit = dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.MULTILINE))
    assert f"/run/{unit['RuntimeDirectory']}" == str(DEFAULT_RUNTIME_DIR)
    assert f"/var/lib/{unit['StateDirectory']}" == str(DEFAULT_STATE_DIR)


@pytest.mark.parametrize(
    "path", [DEFAULT_CONFIG, DEFAULT_RUNTIME_DIR / "control.sock", DEFAULT_STATE_DIR / "active.yaml"]
)
def test_architecture_names_the_paths(path: Path) -> None:
    assert f"`{path}`" in ARCHITECTURE


def test_role_names_the_paths() -> None:
    assert load_yaml(ROOT / "roles/appliance/vars/main.yml")["appliance_config_file"] == str(DEFAULT_CONFIG)
    assert f"src: {DEFAULT_STATE_DIR}/active.yaml" in (ROOT / "roles/appliance/tasks/apply.yml").read_text()
    assert f"`{load_defaults('appliance')['appliance_home']}`" in ARCHITECTURE


def test_modules_go_where_architecture_says() -> None:
    folder = re.search(r"^installed=(.*)$", COMMAND, re.MULTILINE)
    assert folder is not None
    assert f"`{folder[1].replace('$release', '<release>')}/`" in ARCHITECTURE


def test_commands_of_the_unit_exist() -> None:
    start = re.search(r"^ExecStart=\{\{ appliance_command \}\} (.*)$", UNIT, re.MULTILINE)
    assert start is not None
    name, *arguments = shlex.split(start[1].replace("{{ appliance_config_file }}", "FILE"))
    flags = {argument for argument in arguments if argument.startswith("--")}
    assert flags <= list_flags(appliance_app, name)


def test_commands_of_the_roles_exist() -> None:
    assert "--allow-restart" in list_flags(appliance_app, "apply")
    assert "--json" in list_flags(appliance_app, "status")
    list_flags(appliance_app, "check")
    variables = load_yaml(ROOT / "roles/netmap_drivers/vars/main.yml")
    asked = {
        "build": {"--kernel", "--driver", "--netmap-source", "--artifacts", "--json"},
        "package": {"--kernel", "--driver", "--artifacts", "--output", "--json"},
        "sign": {"--key", "--certificate", "--passphrase-fd"},
    }
    for command, flags in asked.items():
        argv = variables[f"netmap_drivers_{command}_argv"]
        assert set(re.findall(r"'(--[\w-]+)'", argv)) == flags
        assert flags <= list_flags(builds_app, command)
    list_flags(builds_app, "check")


def test_verify_gives_an_option_testinfra_knows() -> None:
    assert '"--expect-frames"' in (ROOT / "tests/host/conftest.py").read_text()
    assert "--expect-frames=" in (ROOT / "playbooks/verify.yml").read_text()


@pytest.mark.parametrize("path", sorted(EXAMPLE.glob("host_vars/*.yml")), ids=lambda path: path.stem)
def test_example_configurations_are_accepted(path: Path) -> None:
    text = yaml.safe_dump(load_yaml(path)["appliance_config"], sort_keys=False)
    assert parse_config(text, path.name).config.routes


def test_readmes_example_is_accepted() -> None:
    readme = (ROOT / "roles/appliance/README.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    (play,) = yaml.safe_load(example)
    variables = play["roles"][0]["vars"]
    assert set(variables) <= set(load_options("appliance"))
    assert parse_config(yaml.safe_dump(variables["appliance_config"]), "README.md").config.ports


def test_template_adds_no_key() -> None:
    """The role hands the dictionary through: the schema stays the one declaration of its fields."""
    template = (ROOT / "roles/appliance/templates/config.yaml.j2").read_text()
    without_comments = re.sub(r"^#.*\n", "", template, flags=re.MULTILINE)
    assert re.fullmatch(r"\{\{ appliance_config \| to_nice_yaml\([^)]*\) \}\}\n", without_comments)
    assert not [field for field in Config.model_fields if re.search(rf"\b{field}:", template)]


def test_example_inventory_sets_only_known_variables() -> None:
    known = {name for role in ROLES for name in load_options(role)} | CONNECTION_VARIABLES
    seen: set[str] = set()
    for path in [*EXAMPLE.glob("host_vars/*.yml"), *EXAMPLE.glob("group_vars/*.yml")]:
        seen |= set(load_yaml(path))
    for group in load_yaml(EXAMPLE / "hosts.yml")["appliances"]["children"].values():
        for variables in group["hosts"].values():
            seen |= set(variables)
    assert seen <= known, f"the example inventory sets {sorted(seen - known)}"


def test_example_inventory_has_a_configuration_for_every_host() -> None:
    groups = load_yaml(EXAMPLE / "hosts.yml")["appliances"]["children"].values()
    hosts = {host for group in groups for host in group["hosts"]}
    assert {path.stem for path in EXAMPLE.glob("host_vars/*.yml")} == hosts


def test_collection_carries_what_playbooks_need_and_nothing_else(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "ansible",
        "galaxy",
        "collection",
        "build",
        "--output-path",
        str(tmp_path),
        str(ROOT),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("studio-bypass-*.tar.gz")
    with tarfile.open(archive) as collection:
        files = {member.name for member in collection.getmembers() if member.isfile()}
    wanted = ("roles", "playbooks", "tests/host", "meta")
    tracked = subprocess.run(
        ["git", "ls-files", *wanted], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(tracked) <= files
    folders = {name.split("/")[0] for name in files if "/" in name}
    assert folders <= {"roles", "playbooks", "tests", "meta", "changelogs"}
    assert {name.split("/")[1] for name in files if name.startswith("tests/")} == {"host"}
