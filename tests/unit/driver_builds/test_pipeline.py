# SPDX-License-Identifier: Apache-2.0
"""The pipeline from probe to manifest, in miniature: what is built, what is refused, and how it says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from driver_builds.adapt.catalogue import Rule, parse_rule
from driver_builds.catalogue import Correction
from driver_builds.errors import DiskFullError, DriverBuildError, RefusedAsUnsafe, StageError
from driver_builds.manifest import load_manifest
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.correct import correct_text
from driver_builds.pipeline.run import apply_plan, work_folders
from driver_builds.plan import Step, build_key
from driver_builds.tree_hash import hash_file
from driver_builds.verify import find_artifact_problems

from .miniature import Miniature

ALL = frozenset({"netmap", "e1000", "e1000e"})


def _apply(miniature: Miniature, cached: frozenset[str] = frozenset()) -> tuple[BuildContext, list[str]]:
    plan, context = miniature.prepare(cached)
    reported: list[str] = []

    def report(step: Step, seconds: float, error: DriverBuildError | None) -> None:
        assert seconds >= 0
        reported.append(f"{step.stage} {step.subject} {'failed' if error else 'done'}")

    apply_plan(plan, context, report)
    return context, reported


def test_all_are_built(miniature: Miniature) -> None:
    context, reported = _apply(miniature)
    assert context.changed
    assert find_artifact_problems(context.artifacts) == []
    manifest = load_manifest(context.artifacts)
    assert [module.name for module in manifest.modules] == ["netmap", "e1000", "e1000e"]
    assert [module.depends for module in manifest.modules] == [[], ["netmap"], ["netmap"]]
    assert [module.baseline for module in manifest.modules] == [None, "built", "built"]
    patch = manifest.modules[1].patch
    assert patch is not None
    assert patch.name == "vanilla--e1000--31200--99999"
    assert [(hunk.file, hunk.fuzz, hunk.offset) for hunk in patch.hunks] == [("e1000/e1000.c", 0, 0)]
    assert manifest.refused == []
    assert reported[-1] == "write 6.1.0-56-amd64 done"


def test_the_same_again_is_the_same_bytes_and_no_change(miniature: Miniature) -> None:
    first, _ = _apply(miniature)
    before = {path.name: path.read_bytes() for path in first.artifacts.iterdir()}
    again, reported = _apply(miniature)
    assert "build e1000 done" in reported
    assert not again.changed
    assert {path.name: path.read_bytes() for path in again.artifacts.iterdir()} == before


def test_modules_come_from_the_cache(miniature: Miniature) -> None:
    first, _ = _apply(miniature)
    before = (first.artifacts / "e1000.ko").read_bytes()
    (first.artifacts / "e1000.ko").unlink()
    again, reported = _apply(miniature, ALL)
    assert reported == [
        "reuse netmap done",
        "reuse e1000e done",  # its source is longer by one letter: the largest begin first
        "reuse e1000 done",
        "write 6.1.0-56-amd64 done",
    ]
    assert again.changed
    assert (again.artifacts / "e1000.ko").read_bytes() == before


def test_a_changed_module_in_the_cache_is_refused_by_name(miniature: Miniature) -> None:
    first, _ = _apply(miniature)
    file = first.get_cached("e1000") / "e1000.ko"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(RefusedAsUnsafe, match=r"e1000\.ko: is not the file that was built"):
        _apply(miniature, ALL)


def _break(miniature: Miniature, stage: str) -> None:
    source = miniature.get_source("e1000e").read_text()
    match stage:
        case "baseline":
            miniature.write_driver("e1000e", source.replace("return 0;", "return missing;"))
        case "patch":
            miniature.write_driver("e1000e", source.replace("name=", "nom=").replace("license", "licence"))
        case "build":
            miniature.write_patch("e1000e", '"depends="', '"depends=netmap" undeclared')
        case "inspect":
            miniature.write_patch("e1000e", "return 0;", "return 1;")


@pytest.mark.parametrize(
    ("stage", "reason", "line"),
    [
        ("baseline", "the unpatched driver does not compile", "'missing' undeclared"),
        ("patch", "1 of 1 hunks do not fit this kernel's source", "e1000e/e1000e.c: hunk 1 (line "),
        ("build", "the patched driver does not compile; the unpatched one did", "error: expected"),
        ("inspect", "the module is not what was planned", "it depends on nothing, not on netmap"),
    ],
)
def test_one_that_fails_leaves_the_others(miniature: Miniature, stage: str, reason: str, line: str) -> None:
    _break(miniature, stage)
    context, reported = _apply(miniature)
    assert f"{stage} e1000e failed" in reported
    assert find_artifact_problems(context.artifacts) == []
    manifest = load_manifest(context.artifacts)
    assert [module.name for module in manifest.modules] == ["netmap", "e1000"]
    (refused,) = manifest.refused
    assert (refused.name, refused.stage) == ("e1000e", stage)
    assert reason in refused.reason
    assert any(line in text for text in refused.lines)
    assert len(refused.lines) <= 10
    assert refused.log == "logs/e1000e.log"
    assert "make" in (context.artifacts / "logs/e1000e.log").read_text()
    assert not context.get_cached("e1000e").exists()


def test_a_driver_for_another_netmap_is_not_put_beside_this_one(miniature: Miniature) -> None:
    layout = '{1, "module_layout"},'
    source = miniature.get_source("e1000").read_text()
    miniature.write_driver("e1000", source.replace(layout, f'{layout} {{2, "netmap_attach"}},'))
    miniature.write_patch("e1000", "depends=", "depends=netmap")
    _apply(miniature)
    makefile = miniature.kernel.build / "Makefile"
    makefile.write_text(makefile.read_text().replace("0x00000002", "0x00000003"))
    context, _ = _apply(miniature, frozenset({"netmap", "e1000", "e1000e"}))
    assert find_artifact_problems(context.artifacts) == []
    with pytest.raises(RefusedAsUnsafe, match=r"e1000\.ko: imports netmap_attach in another version"):
        _apply(miniature, frozenset({"e1000", "e1000e"}))
    assert find_artifact_problems(context.artifacts) == []


@pytest.fixture
def correction(miniature: Miniature) -> Correction:
    """e1000's patch takes its dependency from a header of netmap that is wrong; this corrects it."""
    header = miniature.tree / "LINUX" / "if_e1000_netmap.h"
    header.write_text('/* netmap */\n#define DEPENDS "depends="\n')
    source = miniature.get_source("e1000").read_text()
    miniature.write_driver(
        "e1000", source.replace('"depends="', "DEPENDS").replace("return 0", "return DEPENDS[0]")
    )
    miniature.write_driver("e1000", '#define DEPENDS ""\n' + miniature.get_source("e1000").read_text())
    miniature.write_patch("e1000", '#define DEPENDS ""', "#include <if_e1000_netmap.h>")
    return Correction(
        name="e1000-depends",
        driver="e1000",
        file="LINUX/if_e1000_netmap.h",
        file_sha256=hash_file(header),
        line=2,
        tokens={"=": "=netmap"},
        why="it does not depend on netmap",
    )


def test_a_known_fault_of_netmap_is_corrected_in_a_copy(miniature: Miniature, correction: Correction) -> None:
    before = (miniature.tree / correction.file).read_text()
    miniature.inputs = replace(miniature.inputs, corrections=(correction,))
    context, reported = _apply(miniature)
    assert "correct e1000 done" in reported
    assert "correct e1000e done" not in reported
    manifest = load_manifest(context.artifacts)
    assert {module.name: module.corrections for module in manifest.modules} == {
        "netmap": [],
        "e1000": ["e1000-depends"],
        "e1000e": [],
    }
    assert (miniature.tree / correction.file).read_text() == before


def test_netmap_itself_is_compiled_from_corrected_sources(
    miniature: Miniature, correction: Correction
) -> None:
    source = miniature.tree / "sys" / "dev" / "netmap" / "netmap.c"
    source.parent.mkdir(parents=True)
    source.write_text("state = LOCKED;\n")
    file = "sys/dev/netmap/netmap.c"
    fault = correction.model_copy(
        update={
            "name": "netmap-state",
            "driver": "netmap",
            "file": file,
            "line": 1,
            "tokens": {"LOCKED": "STOPPED"},
        }
    )
    miniature.inputs = replace(miniature.inputs, corrections=(fault,))
    context, reported = _apply(miniature)
    assert reported.index("correct netmap done") == reported.index("probe netmap done") + 1
    corrected = context.get_corrected("netmap")
    assert (corrected / fault.file).read_text() == "state = STOPPED;\n"
    assert source.read_text() == "state = LOCKED;\n"
    assert f"SRCDIR={corrected}/LINUX" in context.get_log("netmap").read_text()
    assert load_manifest(context.artifacts).modules[0].corrections == ["netmap-state"]


def test_without_its_correction_the_driver_is_refused(miniature: Miniature, correction: Correction) -> None:
    context, _ = _apply(miniature)
    assert [refused.name for refused in load_manifest(context.artifacts).refused] == ["e1000"]


def test_a_correction_beyond_the_files_end_is_refused(miniature: Miniature, correction: Correction) -> None:
    wrong = correction.model_copy(update={"line": 3})
    miniature.inputs = replace(miniature.inputs, corrections=(wrong,))
    context, _ = _apply(miniature)
    (refused,) = load_manifest(context.artifacts).refused
    assert (refused.name, refused.stage) == ("e1000", "correct")
    assert "has 2 lines, no line 3" in refused.reason


@pytest.mark.parametrize(("token", "count"), [("absent", 0), ('"', 2)])
def test_a_correction_that_does_not_fit_its_line_is_refused(
    correction: Correction, token: str, count: int
) -> None:
    wrong = correction.model_copy(update={"tokens": {token: "other"}})
    with pytest.raises(StageError, match=f"stands {count} times in line 2, wanted once"):
        correct_text('/* netmap */\n#define DEPENDS "depends="\n', wrong)


def test_tokens_change_places(correction: Correction) -> None:
    swap = correction.model_copy(update={"line": 1, "tokens": {"0": "FLAG", "FLAG": "0"}})
    assert correct_text("a->b = done ? FLAG : 0;\n", swap) == "a->b = done ? 0 : FLAG;\n"


def test_a_kernel_without_the_driver(miniature: Miniature) -> None:
    miniature.kernel.config.write_text("CONFIG_E1000=m\n# CONFIG_E1000E is not set\n")
    context, _ = _apply(miniature)
    (refused,) = load_manifest(context.artifacts).refused
    assert (refused.name, refused.stage, refused.log) == ("e1000e", "baseline", None)
    assert "CONFIG_E1000E is not m" in refused.reason


@pytest.mark.parametrize("where", ["config.log", "/dev/stdout"])
def test_a_probe_that_found_no_space_is_no_answer(miniature: Miniature, where: str) -> None:
    """netmap's configure takes a compiler that fails for whatever reason for a "no", and ends well."""
    configure = miniature.tree / "LINUX" / "configure"
    full = f"echo 'as: final close failed: No space left on device' >> {where}\n"
    configure.write_text(configure.read_text() + full)
    with pytest.raises(DiskFullError, match="final close failed: No space left on device; nothing half"):
        _apply(miniature)
    assert not (miniature.folder / "artifacts" / "6.1.0-56-amd64").exists()


@pytest.mark.parametrize("broken", ["probe", "build"])
def test_without_netmap_nothing_is_written(miniature: Miniature, broken: str) -> None:
    if broken == "probe":
        (miniature.tree / "LINUX" / "configure").write_text("#!/bin/sh\n: > netmap_linux_config.h\n")
    else:
        (miniature.tree / "LINUX" / "netmap.c").write_text("not C\n")
    with pytest.raises(StageError) as caught:
        _apply(miniature)
    assert (caught.value.stage, caught.value.subject) == (broken, "netmap")
    assert caught.value.log is not None
    assert caught.value.log.is_file()
    assert str(caught.value.log) in str(caught.value)
    assert not (miniature.folder / "artifacts" / "6.1.0-56-amd64").exists()


def test_the_callers_make_variables_do_not_get_in(
    miniature: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = _apply(miniature)
    for name, value in (
        ("MAKEFLAGS", "-n"),
        ("KCFLAGS", "-O0"),
        ("CC", "false"),
        ("ARCH", "arm64"),
        ("M", "/"),
    ):
        monkeypatch.setenv(name, value)
    again, _ = _apply(miniature)
    assert not again.changed
    assert find_artifact_problems(first.artifacts) == []


def test_work_folders_are_empty_alone_and_removed(tmp_path: Path) -> None:
    said: list[Path] = []
    with work_folders(tmp_path, "6.1.0-56-amd64", said.append) as (work, logs):
        (work / "file").touch()
        (logs / "e1000.log").touch()
    assert not work.exists()
    assert (logs / "e1000.log").exists(), "logs stay for whoever looks into a failure"
    with work_folders(tmp_path, "6.1.0-56-amd64", said.append) as (work, logs):
        assert list(work.iterdir()) == list(logs.iterdir()) == []
    assert said == []


def _write_rule(function: str) -> Rule:
    return parse_rule(
        f"""
name = "e1000e-hooks"
driver = "e1000e"
why = "a test"
header = "hooks.h"
[[hook]]
name = "depend on netmap"
file = "e1000e/e1000e.c"
function = "{function}"
where = "start"
insert = '#include "hooks.h"'
""",
        'static const char more[] __attribute__((section(".modinfo"), used)) = "depends=netmap";\n',
    )


def test_where_netmaps_patch_is_rejected_our_rule_is_used(miniature: Miniature) -> None:
    miniature.write_driver("e1000e", miniature.get_source("e1000e").read_text().replace('"depends=";', '"";'))
    rule = _write_rule("e1000e_open")
    miniature.inputs = replace(miniature.inputs, rules=(rule,))
    plan, _ = miniature.prepare()
    details = [step.detail for step in plan.steps if step.stage == "patch"]
    assert details[1] == "vanilla--e1000e--31200--99999, else adapted by e1000e-hooks"
    context, _ = _apply(miniature)
    manifest = load_manifest(context.artifacts)
    assert manifest.refused == []
    patch = manifest.modules[2].patch
    assert patch is not None
    assert (patch.stage, patch.name, patch.sha256) == ("adapted", "e1000e-hooks", rule.sha256)
    assert [(hook.name, hook.file) for hook in patch.hooks] == [("depend on netmap", "e1000e/e1000e.c")]
    assert patch.instead_of is not None
    assert "1 of 1 hunks do not fit" in patch.instead_of
    log = context.get_log("e1000e").read_text()
    assert "upstream vanilla--e1000e--31200--99999: " in log
    assert "adapted by e1000e-hooks" in log


def test_a_rule_without_its_place_refuses_the_driver(miniature: Miniature) -> None:
    _break(miniature, "patch")
    miniature.inputs = replace(miniature.inputs, rules=(_write_rule("e1000e_close"),))
    context, _ = _apply(miniature)
    (refused,) = load_manifest(context.artifacts).refused
    assert (refused.name, refused.stage) == ("e1000e", "patch")
    assert "rule e1000e-hooks: 1 of 1 hooks have no place" in refused.reason
    assert "no other patch of netmap's applies either" in refused.reason
    assert any("hook 'depend on netmap' has no place" in line for line in refused.lines)


def test_a_refusal_says_which_other_patch_would_apply(miniature: Miniature) -> None:
    folder = miniature.tree / "LINUX" / "final-patches"
    good = (folder / "vanilla--e1000e--31200--99999").read_text()
    (folder / "vanilla--e1000e--20000--31200").write_text(good)
    (folder / "vanilla--e1000e--31200--99999").write_text(good.replace('-    "depends=', '-    "needs='))
    names = (*miniature.inputs.patch_names, "vanilla--e1000e--20000--31200")
    miniature.inputs = replace(miniature.inputs, patch_names=names)
    context, _ = _apply(miniature)
    refusals = load_manifest(context.artifacts).refused
    assert [refused.reason.split("; ")[-1] for refused in refusals] == [
        "vanilla--e1000e--20000--31200 would apply here"
    ]


def test_editing_a_rule_rebuilds_its_driver_alone(miniature: Miniature) -> None:
    one = replace(miniature.inputs, rules=(_write_rule("e1000e_open"),))
    other = replace(miniature.inputs, rules=(_write_rule("e1000e_close"),))
    assert build_key(one, "e1000e") != build_key(other, "e1000e")
    assert build_key(one, "e1000") == build_key(other, "e1000")
    assert build_key(one, "netmap") == build_key(other, "netmap")


def test_a_fault_of_a_patch_is_corrected_in_a_copy(miniature: Miniature) -> None:
    patch = miniature.tree / "LINUX/final-patches/vanilla--e1000--31200--99999"
    patch.write_text(patch.read_text().replace('+    "depends=netmap', '+    "depends=nothing'))
    line = patch.read_text().splitlines().index('+    "depends=nothing";') + 1
    correction = Correction(
        name="e1000-depends",
        driver="e1000",
        file=f"LINUX/final-patches/{patch.name}",
        file_sha256=hash_file(patch),
        line=line,
        tokens={"nothing": "netmap"},
        why="a test",
    )
    other = correction.model_copy(
        update={"name": "other", "file": "LINUX/final-patches/vanilla--e1000--1--31200"}
    )
    miniature.inputs = replace(miniature.inputs, corrections=(correction, other))
    before = hash_file(patch)
    context, _ = _apply(miniature)
    module = load_manifest(context.artifacts).modules[1]
    assert (module.name, module.depends, module.corrections) == ("e1000", ["netmap"], ["e1000-depends"])
    assert module.patch is not None
    assert (module.patch.name, module.patch.sha256) == (patch.name, before)
    assert hash_file(patch) == before


@pytest.mark.parametrize("named", ["e1000e_open", "e1000e_other"])
def test_a_hunk_in_another_function_than_it_names_is_refused(miniature: Miniature, named: str) -> None:
    lines = "".join(f"    volatile int v{number} = {number};\n" for number in range(9))
    other = f"int e1000e_other(void);\nint e1000e_other(void)\n{{\n{lines}    return 0;\n}}\n"
    source = miniature.get_source("e1000e").read_text()
    miniature.write_driver("e1000e", source.replace('"depends="', '"depends=netmap"') + other)
    miniature.write_patch("e1000e", "v7 = 7", "v7 = 8")
    patch = miniature.tree / "LINUX/final-patches/vanilla--e1000e--31200--99999"
    patch.write_text(patch.read_text().replace(" @@\n", f" @@ int {named}(void)\n"))
    context, _ = _apply(miniature)
    refused = load_manifest(context.artifacts).refused
    if named == "e1000e_other":
        assert refused == []
    else:
        assert "1 of 1 hunks went into another function" in refused[0].reason
        assert refused[0].lines == [
            "e1000e/e1000e.c: hunk 1 is for e1000e_open, line 24 here is in e1000e_other"
        ]
        patched = context.get_folder("e1000e") / "drivers/net/ethernet/intel/e1000e/e1000e.c"
        assert "v7 = 7" in patched.read_text()
