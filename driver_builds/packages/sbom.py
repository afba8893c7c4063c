# SPDX-License-Identifier: Apache-2.0
"""What modules were made from, as a CycloneDX 1.5 bill of materials (ECMA-424) in JSON.

It holds no time and no random serial number: the serial number is derived from what the bill says.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from driver_builds.manifest import Input, Manifest, Module
from driver_builds.netmap_source import NetmapTree

FILE_NAME = "sbom.cdx.json"

Component = dict[str, Any]


def render_sbom(manifest: Manifest, name: str, version: str, licences: Mapping[str, str | None]) -> str:
    """The bill of the package `name` `version`: modules, inputs with their hashes, who was made from what.

    `licences` are the modules' own words, by module name.
    """
    netmap = manifest.netmap
    inputs = [_build_netmap(netmap.url, netmap.commit, netmap.sha256)]
    inputs += [_build_input(manifest, entry) for entry in manifest.inputs]
    built = [_build_module(module, licences.get(module.name)) for module in manifest.modules]
    properties = {
        "kernel-release": manifest.kernel.release,
        "compiler": manifest.kernel.compiler,
        "inputs-sha256": manifest.inputs_sha256,
    }
    return _render(name, version, properties, built, inputs)


def render_tree_sbom(
    tree: NetmapTree, name: str, version: str, files: Mapping[str, str], compiler: str
) -> str:
    """The bill of a package made from netmap's tree alone; `files` are its paths and their SHA-256."""
    built: list[Component] = [
        {"type": "file", "bom-ref": path, "name": path, "hashes": _build_hashes(sha256)}
        for path, sha256 in sorted(files.items())
    ]
    inputs = [_build_netmap(tree.url, tree.commit, tree.sha256)]
    return _render(name, version, {"compiler": compiler}, built, inputs)


def _render(
    name: str,
    version: str,
    properties: Mapping[str, str | None],
    built: list[Component],
    inputs: list[Component],
) -> str:
    references = [component["bom-ref"] for component in inputs]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "driver-builds"}]},
            "component": {"type": "application", "bom-ref": name, "name": name, "version": version},
            "properties": _build_properties(properties),
        },
        "components": [*built, *inputs],
        "dependencies": [
            {"ref": name, "dependsOn": [component["bom-ref"] for component in built]},
            *({"ref": component["bom-ref"], "dependsOn": references} for component in built),
        ],
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}"
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _build_properties(values: Mapping[str, str | None]) -> list[dict[str, str]]:
    return [{"name": f"driver-builds:{name}", "value": value} for name, value in values.items() if value]


def _build_hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]


def _build_module(module: Module, licence: str | None) -> Component:
    component: Component = {
        "type": "file",
        "bom-ref": f"module/{module.name}",
        "name": module.file,
        "hashes": _build_hashes(module.sha256),
        "licenses": [{"license": {"name": licence}}] if licence else [],
        "properties": _build_properties({"vermagic": module.vermagic}),
    }
    if module.patch is not None:
        component["properties"] += _build_properties(
            {
                "patch": module.patch.name,
                "patch-sha256": module.patch.sha256,
                "patch-stage": str(module.patch.stage),
            }
        )
    if module.signature is not None:
        component["properties"] += _build_properties(
            {
                "signer": module.signature.signer,
                "certificate-sha256": module.signature.certificate_sha256,
                "unsigned-sha256": module.signature.unsigned_sha256,
            }
        )
    component["properties"] += [
        {"name": "driver-builds:correction", "value": name} for name in module.corrections
    ]
    return component


def _build_netmap(url: str | None, commit: str | None, sha256: str) -> Component:
    """netmap's tree; its hash is driver_builds' tree hash, so it stands among the properties, not the hashes."""
    component: Component = {
        "type": "library",
        "bom-ref": "netmap",
        "name": "netmap",
        "version": commit or sha256,
        "properties": _build_properties({"tree-sha256": sha256}),
    }
    if url and url.startswith("https://github.com/") and commit:
        component["purl"] = f"pkg:github/{url.removeprefix('https://github.com/')}@{commit}"
    return component


def _build_input(manifest: Manifest, entry: Input) -> Component:
    distribution = manifest.kernel.distribution.split(" ", 1)[0]
    version = quote(entry.version, safe=".~")
    return {
        "type": "library",
        "bom-ref": f"input/{entry.name}",
        "name": entry.name,
        "version": entry.version,
        "hashes": _build_hashes(entry.sha256),
        "purl": f"pkg:deb/{distribution}/{entry.name}@{version}",
    }
