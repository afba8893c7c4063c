# SPDX-License-Identifier: Apache-2.0
"""Signing: real keys, real signatures by openssl, a sign-file in miniature. tests/builds takes the kernel's own."""

import json
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from driver_builds.cli.main import app
from driver_builds.errors import ArtifactError, DriverBuildError, RefusedAsUnsafe, UsageError
from driver_builds.manifest import FILE_NAME, load_manifest, render_manifest
from driver_builds.packages.deb import Deb, Entry, render_deb
from driver_builds.signature import is_signed_by, load_certificate, split_module
from driver_builds.signing import SigningKey, read_passphrase, sign_artifacts
from driver_builds.tree_hash import hash_file
from driver_builds.verify import find_artifact_problems

from .small_artifacts import build_artifacts

RELEASE = "6.1.0-56-amd64"
PASSPHRASE = "correct horse"

# What the kernel's sign-file does, by openssl's command: a detached CMS without attributes and certificates,
# then struct module_signature and the magic. It notes its arguments, to show that no secret is among them.
_SIGN_FILE = r"""#!/bin/sh
set -e
echo "$@" >> "$(dirname "$0")/arguments"
openssl cms -sign -binary -noattr -nocerts -outform DER -md "$1" -in "$4" -signer "$3" -inkey "$2" \
    -passin env:KBUILD_SIGN_PIN -out "$4.cms"
length=$(stat -c %s "$4.cms")
cat "$4.cms" >> "$4"
rm "$4.cms"
printf '\000\000\002\000\000\000\000\000' >> "$4"
printf "$(printf '\\%03o\\%03o\\%03o\\%03o' 0 0 $((length / 256)) $((length % 256)))" >> "$4"
printf '~Module signature appended~\n' >> "$4"
"""


@dataclass(frozen=True, slots=True)
class Bench:
    artifacts: Path
    cache: Path
    key: SigningKey

    @property
    def arguments(self) -> str:
        (found,) = self.cache.rglob("arguments")
        return found.read_text()

    def sign(self, key: SigningKey | None = None) -> list[str]:
        return sign_artifacts(self.artifacts, key or self.key, self.cache, lambda _: None)


def make_key(folder: Path, name: str = "Studio MOK") -> SigningKey:
    folder.mkdir()
    command = [
        "openssl",
        "req",
        "-new",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-days",
        "2",
        "-subj",
        f"/CN={name}/",
    ]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    environment = {**os.environ, "P": PASSPHRASE}
    subprocess.run([*command, *files, "-passout", "env:P"], check=True, capture_output=True, env=environment)
    (folder / "key.pem").chmod(0o600)
    return SigningKey(str(folder / "key.pem"), folder / "cert.pem", passphrase=PASSPHRASE)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    artifacts = build_artifacts(tmp_path / "artifacts" / RELEASE)
    program = Entry("usr/lib/linux-kbuild-6.1/scripts/sign-file", _SIGN_FILE.encode(), 0o755)
    kbuild = Deb("linux-kbuild-6.1", "6.1.192-2", "amd64", {"Maintainer": "x", "Description": "x"}, [program])
    package = tmp_path / "cache" / "packages" / kbuild.file_name
    package.parent.mkdir(parents=True)
    package.write_bytes(render_deb(kbuild, 1))
    manifest = load_manifest(artifacts)
    entry = manifest.inputs[0].model_copy(update={"name": kbuild.name, "sha256": hash_file(package)})
    manifest = manifest.model_copy(update={"inputs": [*manifest.inputs, entry]})
    (artifacts / FILE_NAME).write_text(render_manifest(manifest))
    return Bench(artifacts, tmp_path / "cache", make_key(tmp_path / "keys"))


def test_every_module_is_signed_and_recorded(bench: Bench) -> None:
    before = {path.name: path.read_bytes() for path in bench.artifacts.glob("*.ko")}
    assert bench.sign() == ["netmap", "e1000"]
    assert find_artifact_problems(bench.artifacts) == []
    certificate = load_certificate(bench.key.certificate)
    manifest = load_manifest(bench.artifacts)
    assert manifest.inputs_sha256 == "0" * 64  # the key a build compares: it stays `unchanged`
    for module in manifest.modules:
        split = split_module((bench.artifacts / module.file).read_bytes())
        assert split.module == before[module.file]
        assert is_signed_by(split, certificate)
        assert module.signature is not None
        assert (module.signature.signer, module.signature.hash) == ("Studio MOK", "sha256")
        assert module.signature.certificate_sha256 == certificate.sha256


def test_signing_again_changes_nothing(bench: Bench) -> None:
    bench.sign()
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in bench.artifacts.iterdir()}
    assert bench.sign() == []
    assert {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in bench.artifacts.iterdir()
    } == before


def test_another_key_takes_the_place_of_the_first(bench: Bench, tmp_path: Path) -> None:
    bench.sign()
    other = make_key(tmp_path / "other", "Other MOK")
    assert bench.sign(other) == ["netmap", "e1000"]
    module = load_manifest(bench.artifacts).modules[0]
    assert module.signature is not None
    assert module.signature.signer == "Other MOK"
    split = split_module((bench.artifacts / module.file).read_bytes())
    assert split_module(split.module).cms is None
    assert not is_signed_by(split, load_certificate(bench.key.certificate))


def test_the_passphrase_is_in_no_argument_and_no_file(bench: Bench) -> None:
    bench.sign()
    assert bench.key.key in bench.arguments
    assert PASSPHRASE not in bench.arguments
    assert PASSPHRASE not in repr(bench.key)
    secret = Path(bench.key.key).read_bytes().splitlines()[1]
    for path in [*bench.artifacts.rglob("*"), *bench.cache.rglob("*")]:
        if path.is_file():
            assert PASSPHRASE.encode() not in path.read_bytes()
            assert secret not in path.read_bytes()


def test_a_failure_leaves_everything_as_it_was(bench: Bench) -> None:
    before = {path: path.read_bytes() for path in bench.artifacts.iterdir()}
    wrong = SigningKey(bench.key.key, bench.key.certificate, passphrase="wrong")
    with pytest.raises(DriverBuildError, match=r"sign netmap\.ko: sign-file failed"):
        bench.sign(wrong)
    assert {path: path.read_bytes() for path in bench.artifacts.iterdir()} == before
    assert not [path for path in bench.artifacts.parent.iterdir() if ".new-" in path.name]


def test_a_certificate_of_another_key_is_refused(bench: Bench, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    with pytest.raises(DriverBuildError, match=r"belong together|give the certificate of this key"):
        bench.sign(SigningKey(bench.key.key, other.certificate, passphrase=PASSPHRASE))
    assert load_manifest(bench.artifacts).modules[0].signature is None


def test_a_key_everybody_can_read_is_refused(bench: Bench) -> None:
    Path(bench.key.key).chmod(0o644)
    with pytest.raises(RefusedAsUnsafe, match="chmod o-rwx"):
        bench.sign()
    assert stat.S_IMODE(Path(bench.key.key).stat().st_mode) == 0o644


def test_what_is_no_key_no_certificate_no_hash(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        bench.sign(SigningKey(str(tmp_path / "none"), bench.key.certificate))
    with pytest.raises(UsageError, match="neither PEM nor DER"):
        bench.sign(SigningKey(bench.key.key, Path(__file__)))
    with pytest.raises(UsageError, match="hash md5"):
        bench.sign(SigningKey(bench.key.key, bench.key.certificate, "md5"))


def test_a_changed_kbuild_package_is_refused(bench: Bench) -> None:
    (package,) = (bench.cache / "packages").glob("*.deb")
    package.write_bytes(package.read_bytes()[:-1] + b"x")
    with pytest.raises(RefusedAsUnsafe, match="SHA-256 is not"):
        bench.sign()
    package.unlink()
    with pytest.raises(DriverBuildError, match="is missing: sign-file of this kernel is in it"):
        bench.sign()


def test_verify_sees_a_signature_that_came_off(bench: Bench) -> None:
    bench.sign()
    file = bench.artifacts / "e1000.ko"
    file.write_bytes(split_module(file.read_bytes()).module)
    manifest = load_manifest(bench.artifacts)
    modules = [
        module.model_copy(update={"sha256": hash_file(file)}) if module.name == "e1000" else module
        for module in manifest.modules
    ]
    (bench.artifacts / FILE_NAME).write_text(
        render_manifest(manifest.model_copy(update={"modules": modules}))
    )
    assert find_artifact_problems(bench.artifacts) == [
        f"{file}: carries no signature, the manifest says one; sign or build again"
    ]


def test_one_changed_byte_is_not_what_was_signed(bench: Bench) -> None:
    bench.sign()
    split = split_module((bench.artifacts / "e1000.ko").read_bytes())
    changed = type(split)(split.module[:-1] + b"\xff", split.cms)
    assert not is_signed_by(changed, load_certificate(bench.key.certificate))


@pytest.mark.parametrize("kept", [28, 39])
def test_a_cut_off_signature(kept: int) -> None:
    data = b"\0\0\2\0\0\0\0\0\0\0\1\0~Module signature appended~\n"
    with pytest.raises(ArtifactError, match="signature is"):
        split_module(data[-kept:])


def test_passphrase_from_a_descriptor_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"by descriptor\nmore")
    os.close(writing)
    monkeypatch.setenv("DRIVER_BUILDS_KEY_PASSPHRASE", "by environment")
    assert read_passphrase(reading) == "by descriptor"
    assert read_passphrase(None) == "by environment"
    with pytest.raises(UsageError, match="file descriptor 977"):
        read_passphrase(977)


def test_command_line(bench: Bench) -> None:
    arguments = ["sign", str(bench.artifacts), "--key", bench.key.key, "--cache", str(bench.cache)]
    arguments += ["--certificate", str(bench.key.certificate)]
    environment = {"DRIVER_BUILDS_KEY_PASSPHRASE": PASSPHRASE}
    first = CliRunner().invoke(app, [*arguments, "--json"], env=environment)
    assert json.loads(first.stdout) == {
        "changed": True,
        "artifacts": str(bench.artifacts),
        "signed": ["netmap", "e1000"],
    }
    assert CliRunner().invoke(app, arguments, env=environment).stdout == f"unchanged: {bench.artifacts}\n"


def test_verify_asks_who_signed(bench: Bench, tmp_path: Path) -> None:
    arguments = ["verify", str(bench.artifacts), "--certificate", str(bench.key.certificate)]
    unsigned = CliRunner().invoke(app, arguments)
    assert unsigned.exit_code == 1
    assert "netmap.ko: not signed by Studio MOK; run driver-builds sign" in unsigned.stdout
    bench.sign()
    assert CliRunner().invoke(app, arguments).exit_code == 0
    other = make_key(tmp_path / "other")
    assert CliRunner().invoke(app, [*arguments[:-1], str(other.certificate)]).exit_code == 1
