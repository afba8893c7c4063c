# SPDX-License-Identifier: Apache-2.0
"""A small root of another distribution release, made once by mmdebstrap, in which that release's own tools run.

The folders a build works on are bound in at the same paths, in a mount and process namespace of each command's own:
when the command ends or is killed, its mounts and its children are gone with it. No network in there.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from driver_builds import process, store
from driver_builds.distributions import archives, mirrors
from driver_builds.distributions.releases import Distribution
from driver_builds.errors import StageError

STAGE = "tools"

# Ends what it starts when this process is killed without a chance to stop anything.
_BOUND = ("setpriv", "--pdeathsig", "KILL", "--")

_COMPILER = "compiler"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# $1 root, $2 folder to start in, folders to bind up to "--", then the command. /tmp first: a bind may be below it.
_ENTER = """\
root=$1 folder=$2; shift 2
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
while [ "$1" != -- ]; do mkdir -p "$root$1"; mount --bind "$1" "$root$1"; shift; done
shift
exec chroot "$root" /bin/sh -ec 'cd "$1"; shift; exec "$@"' sh "$folder" "$@"
"""
# No manual, no translation: a root has 250 MB instead of 400.
_UNWANTED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


class ChrootBuilder:
    """The tools of `distribution` with `compiler`; `folders` are those of this host a build works on."""

    def __init__(
        self, distribution: Distribution, compiler: str, record: str, cache: Path, folders: Sequence[Path]
    ) -> None:
        self.distribution = distribution
        self.compiler = compiler
        self.record = record
        self.home = cache / "chroots" / f"{distribution.folder_name}-{compiler}"
        self.folders = plan_binds(folders)

    @property
    def name(self) -> str:
        """Like "chroot debian 13"."""
        return f"chroot {self.distribution.name}"

    def describe(self) -> str:
        """What a plan says of it."""
        if self.home.is_dir():
            return f"{self.read_compiler()}, made before at {self.home}"
        return f"{self.read_compiler()}, made by mmdebstrap at {self.home}"

    def read_compiler(self) -> str:
        """The version line of its compiler; before it is made the kernel's record, which it must come to."""
        file = self.home / _COMPILER
        if file.is_file():
            return file.read_text("utf-8").strip()
        return predict_compiler(self.compiler, self.record)

    def prepare(self) -> None:
        """Makes the root where there is none yet; safe for many builds at once, nothing is left of a killed try."""
        check_root_user(self.name)
        store.fill_once(self.home, self._make)

    def _make(self, folder: Path) -> None:
        root = folder / "root"
        sources = folder / "sources.list"
        wanted = [suite for suite in self.distribution.suites if "-backports" not in suite]
        sources.write_text(
            archives.render_sources(
                self.distribution, mirrors.read_mirrors(self.distribution.family), wanted, kinds=("deb",)
            ),
            "utf-8",
        )
        settings = archives.parse_transport_settings(process.run(["apt-config", "dump"]).output)
        done = process.run(
            [*_BOUND, *plan_mmdebstrap(self.distribution, self.compiler, root, sources, settings)],
            environment=process.fetch_environment(),
        )
        if done.status != 0:
            lines = [line for line in done.output.splitlines() if line.startswith(("E:", "W:", "Err:"))]
            reason = (
                "mmdebstrap could not make it; `driver-builds fetch` makes it ahead where there is a network"
            )
            raise StageError(STAGE, self.name, reason, (lines or done.output.splitlines())[-10:])
        said = self._run(root, [self.compiler, "--version"]).output
        (folder / _COMPILER).write_text(said.splitlines()[0].strip() + "\n", "utf-8")

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        inherit: Sequence[int] = (),
    ) -> process.Finished:
        """Runs a program of the root to its end; `cwd` must be in one of the folders."""
        self.prepare()
        done = self._run(self.home / "root", arguments, cwd, environment, inherit)
        if log is not None:
            process.append_log(log, f"({self.name}) $ {' '.join(arguments)}", done.output)
        return done

    def _run(
        self,
        root: Path,
        arguments: Sequence[str],
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        inherit: Sequence[int] = (),
    ) -> process.Finished:
        given = process.build_environment() if environment is None else environment
        inside = {name: value for name, value in given.items() if name != "TMPDIR"} | {"PATH": _PATH}
        folders = [folder for folder in self.folders if folder.is_dir()]
        command = plan_command(root, folders, arguments, cwd)
        return process.run(command, environment=inside, inherit=inherit)


def check_root_user(name: str) -> None:
    """Raises StageError unless this process may enter another root."""
    if os.geteuid() != 0:
        raise StageError(
            STAGE,
            name,
            "only root can enter another root; run this as root, or build on a host of that release",
        )


def predict_compiler(compiler: str, record: str) -> str:
    """How `compiler --version` begins where the kernel was compiled: its record calls it by its long name."""
    return record.replace(f"x86_64-linux-gnu-{compiler}", compiler, 1) or compiler


def plan_binds(folders: Sequence[Path]) -> list[Path]:
    """The folders without those inside of another one; outer ones first."""
    kept: list[Path] = []
    for folder in sorted({folder.absolute() for folder in folders}):
        if not any(folder.is_relative_to(other) for other in kept):
            kept.append(folder)
    return kept


def plan_command(
    root: Path, folders: Sequence[Path], arguments: Sequence[str], cwd: Path | None = None
) -> list[str]:
    """The command line that runs `arguments` inside `root` with `folders` bound in."""
    namespaces = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--net"]
    start = str(cwd.absolute()) if cwd else "/"
    enter = ["unshare", *namespaces, "--", "/bin/sh", "-ec", _ENTER, "sh", str(root), start]
    return [*_BOUND, *enter, *(str(folder) for folder in folders), "--", *arguments]


def plan_mmdebstrap(
    distribution: Distribution, compiler: str, root: Path, sources: Path, settings: Sequence[str]
) -> list[str]:
    """The command line that makes `root` from `sources`: the essential packages, the tools, the compiler."""
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=essential",
        "--architectures=amd64",
        f"--include={','.join([compiler, *distribution.tools])}",
        *(f"--aptopt={setting.rstrip(';')}" for setting in settings),
        '--aptopt=APT::Sandbox::User "root"',
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _UNWANTED),
        # netmap's configure asks for cc; Kbuild names the compiler in full.
        f'--customize-hook=ln -s {compiler} "$1/usr/bin/cc"',
        f'--customize-hook=ln -s {compiler} "$1/usr/bin/gcc"',
        distribution.codename,
        str(root),
        str(sources),
    ]
