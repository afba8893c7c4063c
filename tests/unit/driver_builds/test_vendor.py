# SPDX-License-Identifier: Apache-2.0
"""The vendor method in miniature: a maker's release made here, from tarball to manifest, and what is refused."""

import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driver_builds.catalogue import load_drivers, load_refused_drivers
from driver_builds.cli.main import app
from driver_builds.errors import (
    ConfigError,
    DriverBuildError,
    ExitCode,
    RefusedAsUnsafe,
    UsageError,
)
from driver_builds.manifest import load_manifest, render_manifest
from driver_builds.pipeline.context import BuildContext
from driver_builds.pipeline.run import apply_plan
from driver_builds.plan import BuildInputs, build_key
from driver_builds.tree_hash import hash_file, hash_tree
from driver_builds.vendor_source import load_vendor_tree
from driver_builds.vendors import (
    VendorChoice,
    VendorRelease,
    VendorTree,
    apply_choice,
    load_vendor_releases,
    parse_vendor_choice,
    select_release,
)

from .conftest import NetmapLike, run_git
from .miniature import Miniature

PATCH = "maker--e1000--9.8.7"
# What the release generates before it can be compiled, as makers' releases do for the kernel they meet.
_GENERATE = 'test -f "$1/Makefile" || exit 3\necho "#define RESULT 0" > generated.h\n'
# netmap's configure with probes for e1000; in a release's own folder they find something else.
_PROBES = """
drv() { true; }
if drv enabled e1000; then
    case $PWD in */probe) value=7 ;; *) value=unlike ;; esac
    echo "#define PROBED $value" >> netmap_linux_config.h
fi
"""


class Maker:
    """A release of e1000: its tarball, its entry in the operator's list, and netmap's patch for it."""

    def __init__(self, miniature: Miniature) -> None:
        self.miniature = miniature
        self.folder = miniature.folder / "maker" / "e1000-9.8.7"
        (self.folder / "src").mkdir(parents=True)
        source = miniature.get_source("e1000").read_text().replace("return 0;", "return RESULT;")
        (self.folder / "src" / "e1000.c").write_text('#include "generated.h"\n' + source)
        (self.folder / "src" / "generate.sh").write_text(_GENERATE)
        self.write_patch("depends=", "depends=netmap")
        self.tarball = self.pack()

    def pack(self) -> Path:
        tarball = self.folder.parent / "e1000-9.8.7.tar.gz"
        with tarfile.open(tarball, "w:gz") as tar:
            tar.add(self.folder, "e1000-9.8.7")
        return tarball

    def write_patch(self, old: str, new: str) -> None:
        text = (self.folder / "src" / "e1000.c").read_text()
        for side, content in (("a", text), ("b", text.replace(old, new))):
            file = self.miniature.folder / "maker-diff" / side / "src" / "e1000.c"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        done = subprocess.run(
            ["diff", "-u", "a/src/e1000.c", "b/src/e1000.c"],
            cwd=self.miniature.folder / "maker-diff",
            capture_output=True,
            text=True,
            check=False,
        )
        (self.miniature.tree / "LINUX" / "final-patches" / PATCH).write_text(done.stdout)

    def build_release(self, **more: object) -> VendorRelease:
        fields: dict[str, object] = {
            "driver": "e1000",
            "vendor": "maker",
            "version": "9.8.7",
            "url": "https://example.invalid/e1000-9.8.7.tar.gz",
            "sha256": hash_file(self.tarball),
            "folder": "src",
            "prepare": [["sh", "generate.sh", "{kernel}"]],
            "why": "a test",
        }
        return VendorRelease.model_validate(fields | more)

    def load(self, release: VendorRelease, source: str | None = None, *, accept: bool = False) -> VendorTree:
        text = str(self.tarball) if source is None else source
        return load_vendor_tree(text, release, self.miniature.folder / "cache", accept=accept)

    def use(self, tree: VendorTree) -> None:
        """Has the miniature build e1000 from `tree`."""
        inputs = self.miniature.inputs
        self.miniature.inputs = replace(
            inputs,
            vendors=(tree,),
            drivers=apply_choice(inputs.drivers, VendorChoice({"e1000": "vendor"}), (tree,)),
            patch_names=(*inputs.patch_names, PATCH),
        )


@pytest.fixture
def maker(miniature: Miniature) -> Maker:
    return Maker(miniature)


def _apply(miniature: Miniature) -> tuple[BuildContext, list[str]]:
    plan, context = miniature.prepare()
    said: list[str] = []
    apply_plan(
        plan, context, lambda step, _s, error: said.append(f"{step.stage} {step.subject} {bool(error)}")
    )
    return context, said


def test_a_release_is_built(maker: Maker) -> None:
    release = maker.build_release()
    maker.use(maker.load(release))
    context, said = _apply(maker.miniature)
    stages = [line.split()[0] for line in said if line.split()[1] == "e1000"]
    assert stages == ["unpack", "probe", "baseline", "patch", "build", "inspect"]
    manifest = load_manifest(context.artifacts)
    assert manifest.refused == []
    module = next(one for one in manifest.modules if one.name == "e1000")
    assert (module.method, module.depends, module.baseline) == ("vendor", ["netmap"], "built")
    assert module.vendor is not None
    assert (module.vendor.vendor, module.vendor.version, module.vendor.pinned) == ("maker", "9.8.7", True)
    assert module.vendor.archive_sha256 == hash_file(maker.tarball)
    assert module.patch is not None
    assert (module.patch.stage, module.patch.name) == ("upstream", PATCH)
    (source,) = [one for one in manifest.inputs if one.name == "vendor-e1000"]
    assert (source.version, source.sha256) == ("9.8.7", release.sha256)
    other = next(one for one in manifest.modules if one.name == "e1000e")
    assert other.method == "in-tree"
    assert '"vendor": null' not in render_manifest(manifest), "other manifests keep their bytes"
    assert hash_tree(context.inputs.vendors[0].path) == context.inputs.vendors[0].tree_sha256


def test_the_plan_says_what_will_be_done(maker: Maker) -> None:
    maker.use(maker.load(maker.build_release()))
    plan, _ = maker.miniature.prepare()
    details = {step.stage: step.detail for step in plan.steps if step.subject == "e1000"}
    assert details["unpack"].startswith("maker 9.8.7, tree ")
    assert details["unpack"].endswith(", pinned")
    assert details["patch"] == PATCH


def test_netmaps_probes_look_at_the_release(maker: Maker) -> None:
    """What they find there stands before what they found in the kernel's own driver."""
    configure = maker.miniature.tree / "LINUX" / "configure"
    configure.write_text(configure.read_text() + _PROBES)
    maker.write_patch(
        '#include "generated.h"',
        "#include <netmap_linux_config.h>\n#define RESULT (PROBED - 7)\n"
        'static const char more[] __attribute__((section(".modinfo"), used)) = "depends=netmap";',
    )
    maker.use(maker.load(maker.build_release()))
    context, said = _apply(maker.miniature)
    override = (context.get_probe_folder("e1000") / "config.mak").read_text()
    assert f"cp -Rp {context.get_folder('e1000')}/release/src e1000" in override
    assert "build e1000 False" in said, context.get_log("e1000").read_text()


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        ("unpack", "sh of the release ended with status 3"),
        ("baseline", "the unpatched release 9.8.7 does not compile"),
        ("patch", "1 of 1 hunks do not fit"),
        ("build", "the patched driver does not compile; the unpatched one did"),
        ("inspect", "the module is not what was planned"),
    ],
)
def test_one_that_fails_leaves_the_others(maker: Maker, stage: str, reason: str) -> None:
    source = maker.folder / "src" / "e1000.c"
    release: dict[str, object] = {}
    match stage:
        case "unpack":
            release = {"prepare": [["sh", "generate.sh", "/nowhere"]]}
        case "baseline":
            source.write_text(source.read_text().replace("RESULT;", "missing;"))
        case "patch":
            source.write_text(source.read_text().replace("name=", "nom=").replace("license", "licence"))
        case "build":
            maker.write_patch('"depends="', '"depends=netmap" undeclared')
        case "inspect":
            maker.write_patch("RESULT;", "RESULT + 1;")
    maker.pack()
    maker.use(maker.load(maker.build_release(**release)))
    context, _ = _apply(maker.miniature)
    manifest = load_manifest(context.artifacts)
    assert [module.name for module in manifest.modules] == ["netmap", "e1000e"]
    (refused,) = manifest.refused
    assert (refused.name, refused.stage) == ("e1000", stage)
    assert reason in refused.reason
    assert "vanilla--" not in refused.reason, "no patch of the kernel's own driver is proposed"


def test_no_other_patch_than_that_releases_is_taken(maker: Maker) -> None:
    maker.use(maker.load(maker.build_release(version="9.8.6")))
    plan, _ = maker.miniature.prepare()
    (refusal,) = plan.refused
    assert (refusal.driver, refusal.stage) == ("e1000", "patch")
    assert refusal.reason == f"netmap has no patch maker--e1000--9.8.6 for this release; it has {PATCH}"


def test_keys_without_vendors_are_what_they_were(inputs: BuildInputs, maker: Maker) -> None:
    """Computed before there was a vendor method. RECIPE, or how a key is made, changed on purpose? Then so do these."""
    probed = tuple(
        driver.model_copy(update={"kinds": ["hardware"], "why": "a test", "adapted_first": None, "needs": []})
        for driver in inputs.probed[:2]
    )
    small = replace(inputs, probed=probed, drivers=probed)
    known = {
        "netmap": "85d2543bd850544382efb7560b2568d046273c6ff395fb7b63bbf891dc4a1a74",
        "e1000": "5d86799529a873bae99898c230c2932fce96256007b2d43a03f6ac1e4809c6ac",
        "e1000e": "7456e27c9c51b9cd2ed17291e0ddfe5859ee3026c69f8c372641f19efd862fbf",
    }
    assert {name: build_key(small, name) for name in known} == known
    with_vendor = replace(small, vendors=(maker.load(maker.build_release()),))
    keys = {name: build_key(with_vendor, name) for name in known}
    assert keys["e1000"] != known["e1000"]
    assert keys == known | {"e1000": keys["e1000"]}, "a vendor's release decides nothing of the others"


@pytest.mark.parametrize("change", [{"make": ["X=1"]}, {"prepare": []}, {"version": "9.8.8"}])
def test_what_decides_a_module_is_in_its_key(
    inputs: BuildInputs, maker: Maker, change: dict[str, object]
) -> None:
    def key(release: VendorRelease) -> str:
        return build_key(replace(inputs, vendors=(maker.load(release),)), "e1000")

    assert key(maker.build_release(**change)) != key(maker.build_release())
    assert key(maker.build_release(why="another")) == key(maker.build_release())


def test_a_changed_byte_is_refused_by_name(maker: Maker) -> None:
    release = maker.build_release()
    maker.tarball.write_bytes(maker.tarball.read_bytes() + b"x")
    with pytest.raises(RefusedAsUnsafe, match=f"not the pinned {release.sha256}") as caught:
        maker.load(release)
    assert str(maker.tarball) in str(caught.value)
    assert release.url in str(caught.value)
    assert not any((maker.miniature.folder / "cache" / "trees").iterdir()), "nothing refused stays"
    assert not maker.load(release, accept=True).pinned


def test_without_a_pin_it_is_refused_unless_accepted(maker: Maker) -> None:
    release = maker.build_release(sha256=None)
    with pytest.raises(RefusedAsUnsafe, match=r"nothing says what its bytes must be.*--accept-vendor-tree"):
        maker.load(release)
    assert not maker.load(release, accept=True).pinned


def test_every_form_gives_the_same_tree(maker: Maker, tmp_path: Path) -> None:
    digest = hash_tree(maker.folder)
    release = maker.build_release(sha256=None, tree_sha256=digest, tag="v9.8.7")
    run_git(maker.folder, "init", "-q")
    run_git(maker.folder, "add", "-A")
    run_git(maker.folder, "commit", "-q", "-m", "release")
    run_git(maker.folder, "tag", "v9.8.7")
    bare = tmp_path / "bare.git"
    run_git(tmp_path, "clone", "-q", "--bare", str(maker.folder), str(bare))
    (maker.folder / "src" / "edit").touch()
    for source in (str(maker.tarball), f"file://{maker.tarball}", str(bare), str(maker.folder)):
        tree = maker.load(release, source)
        assert (tree.tree_sha256, tree.pinned) == (digest, True)
    with pytest.raises(UsageError, match="needs the release's tag"):
        maker.load(maker.build_release(sha256=None, tree_sha256=digest), str(bare))
    plain = tmp_path / "plain"
    run_git(tmp_path, "clone", "-q", str(bare), str(plain))
    subprocess.run(["rm", "-rf", str(plain / ".git")], check=True)
    assert maker.load(release, str(plain)).pinned
    with pytest.raises(RefusedAsUnsafe, match="only the archive's SHA-256 is pinned, and this is none"):
        maker.load(maker.build_release(), str(plain))


def test_a_changed_tree_in_the_cache_is_refused(maker: Maker) -> None:
    tree = maker.load(maker.build_release())
    (tree.path / "src" / "e1000.c").write_text("evil\n")
    with pytest.raises(RefusedAsUnsafe, match="its files were changed since"):
        maker.load(maker.build_release())


def test_without_a_source_it_says_what_to_give(maker: Maker) -> None:
    release = maker.build_release()
    with pytest.raises(DriverBuildError) as caught:
        maker.load(release, "")
    for said in (release.url, "9.8.7", str(release.sha256), "--vendor-source e1000=FILE"):
        assert said in str(caught.value)
    with pytest.raises(DriverBuildError, match=r"cannot be fetched: .*No such file") as caught:
        maker.load(release, f"file://{maker.folder}/none.tar.gz")
    assert str(release.sha256) in str(caught.value)
    with pytest.raises(DriverBuildError, match="does not exist"):
        maker.load(release, "/nowhere/at/all")
    with pytest.raises(UsageError, match="only https:// and file://") as usage:
        maker.load(release, "https://name:password@example.invalid/x.tar.gz")
    assert "password" not in str(usage.value)


@pytest.mark.parametrize(
    ("methods", "sources", "said"),
    [
        (["e1000"], [], "give it as NAME=VALUE"),
        (["rtl8139=vendor"], [], "driver rtl8139 is not known here"),
        (["e1000=magic"], [], "a method is in-tree or vendor"),
        (["e1000=vendor", "e1000=in-tree"], [], "given twice"),
        ([], ["rtl8139=/x"], "driver rtl8139 is not known here"),
    ],
)
def test_choices_that_make_no_sense(methods: list[str], sources: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_vendor_choice(methods, sources, None, False)


def test_the_operators_list(tmp_path: Path) -> None:
    file = tmp_path / "releases.toml"
    entry = '[[release]]\ndriver = "e1000"\nvendor = "maker"\nversion = "1.0"\nurl = "https://x.invalid/a"\nwhy = "w"\n'
    file.write_text(entry)
    assert load_vendor_releases(file)["e1000"].patch == "maker--e1000--1.0"
    for text, said in (
        (entry + entry, "a driver is there twice"),
        (entry.replace("why", "wy"), "wy"),
        (entry + 'folder = "../up"\n', "folder"),
        (entry + 'folder = "/up"\n', "folder"),
        (entry + 'make = ["-f /etc/x"]\n', "make"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=said):
            load_vendor_releases(file)
    choice = VendorChoice({"igb": "vendor"})
    with pytest.raises(
        UsageError, match=r"no vendor release is named: .* has patches for: maker--igb--2, maker--igb--3"
    ):
        select_release(
            "igb", choice, ["vanilla--igb--1--2", "maker--igb--3", "maker--igb--2", "maker--ixgbe--1"]
        )


def test_a_choice_changes_method_and_reason(maker: Maker) -> None:
    tree = maker.load(maker.build_release())
    before = (load_drivers()["e1000"], load_refused_drivers()["mlx5_core"])
    after = apply_choice(before, VendorChoice({"e1000": "vendor"}), (tree,))
    assert [(driver.method, driver.why) for driver in after] == [
        ("vendor", "a test"),
        ("vendor", before[1].why),
    ]


@pytest.fixture
def plan(netmap: NetmapLike, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """`driver-builds plan` for e1000 with more arguments; exit code and what it said."""

    def run(*more: str) -> tuple[int, str]:
        words = ["plan", "--kernel", "6.1.0-56-amd64", "--netmap-source", str(netmap.folder)]
        words += ["--accept-netmap-tree", "--cache", str(tmp_path / "cache"), "--driver", "e1000", *more]
        done = CliRunner().invoke(app, words)
        return done.exit_code, done.output

    return run


def test_the_command(plan: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    tarball = tmp_path / "e1000-9.8.7.tar"
    (tmp_path / "release" / "src").mkdir(parents=True)
    with tarfile.open(tarball, "w") as tar:
        tar.add(tmp_path / "release", "e1000-9.8.7")
    code, said = plan()
    assert code == 0
    assert "in-tree   e1000: the kernel's own source is the only one" in said
    code, said = plan("--method", "e1000=vendor")
    assert code == ExitCode.USAGE
    assert "neither --vendor-releases nor DRIVER_BUILDS_VENDOR_RELEASES is set" in said
    file = tmp_path / "releases.toml"
    file.write_text(
        f'[[release]]\ndriver = "e1000"\nvendor = "maker"\nversion = "9.8.7"\nurl = "https://x.invalid/a"\n'
        f'sha256 = "{hash_file(tarball)}"\nfolder = "src"\nwhy = "a test"\n'
    )
    chosen = ("--method", "e1000=vendor", "--vendor-releases", str(file))
    code, said = plan(*chosen)
    assert code == ExitCode.FAILED
    assert "no source of maker 9.8.7 (https://x.invalid/a, SHA-256 " in said
    code, said = plan(*chosen, "--vendor-source", f"e1000={tarball}")
    assert code == 0, said
    assert "refuse    e1000" in said
    assert "netmap has no patch maker--e1000--9.8.7 for this release; it has none" in said
    code, said = plan("--method", "igb=vendor")
    assert code == ExitCode.USAGE
    assert "add --driver igb" in said
