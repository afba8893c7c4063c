# SPDX-License-Identifier: Apache-2.0
"""`driver-builds verify`: an artifacts directory against its manifest."""

from pathlib import Path
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.errors import ExitCode
from driver_builds.signature import load_certificate
from driver_builds.verify import find_artifact_problems, find_signature_problems

CertificateFile = Annotated[
    Path | None, typer.Option("--certificate", metavar="FILE", help="Every module must be signed by its key.")
]


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An artifacts directory: artifacts/RELEASE.")],
    certificate: CertificateFile = None,
    json: options.Json = False,
) -> None:
    """Check every file of an artifacts directory against its manifest, and who signed the modules."""
    with console.errors_reported(json):
        problems = find_artifact_problems(folder)
        if certificate is not None and not problems:
            problems = find_signature_problems(folder, load_certificate(certificate))
        if json:
            console.print_json({"ok": not problems, "artifacts": str(folder), "problems": problems})
        elif problems:
            for problem in problems:
                console.print_result(problem)
        else:
            console.print_result(f"ok: {folder}")
        if problems:
            raise typer.Exit(int(ExitCode.FAILED))
