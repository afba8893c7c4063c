# SPDX-License-Identifier: Apache-2.0
"""`driver-builds publish`: packages as a directory that apt reads."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from driver_builds.cli import console, options
from driver_builds.packages import repository as repositories

Packages = Annotated[Path, typer.Option("--packages", metavar="DIR", help="What `package` wrote.")]
Repository = Annotated[
    Path,
    typer.Option("--repository", metavar="DIR", help="The directory apt reads, by file: or a web server."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="ID", help="Key in gpg's keyring to sign with; its agent keeps the secret."
    ),
]


def publish(
    packages: Packages = Path("packages"),
    repository: Repository = Path("repository"),
    key: Key = None,
    json: options.Json = False,
) -> None:
    """Make a directory hold exactly these packages, with the index and the hashes apt wants.

    Prints `changed` or `unchanged`, and the line for apt's sources.
    """
    with console.errors_reported(json):
        done = repositories.publish(packages, repository, key, console.print_waiting)
        trust = "signed-by=/etc/apt/keyrings/netmap.asc" if key else "trusted=yes"
        source = f"deb [{trust}] file:{repository.absolute()} ./"
        if json:
            console.print_json({**asdict(done), "repository": str(repository), "source": source})
            return
        state = "changed" if done.changed else "unchanged"
        console.print_result(f"{state}: {repository}: {len(done.packages)} packages")
        console.print_result(source)
