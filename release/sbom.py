"""What is installed with a distribution, as a CycloneDX document (SBOM)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release.environment import Environment
from release.report import CheckFailed, run


def write_sbom(environment: Environment, name: str, target: Path) -> int:
    """Write what the environment has, by the side of the distribution `name`; how many components that is.

    CheckFailed if a package that is installed is not named, or the document is not valid.
    """
    tool: list[str | Path] = [sys.executable, "-m", "cyclonedx_py", "environment", environment.python]
    # Reproducible: no time and no random number, so that the same packages make the same document.
    run([*tool, "--output-reproducible", "--of", "JSON", "--output-file", target], environment.folder)
    document = of_distribution(json.loads(target.read_text(encoding="utf-8")), name, environment.before)
    target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    listed = {component["name"].lower() for component in document["components"]}
    if missing := environment.versions().keys() - listed - {name}:
        raise CheckFailed(f"the SBOM does not name {', '.join(sorted(missing))}")
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(target.read_text(encoding="utf-8")):
        raise CheckFailed(f"the SBOM is not valid: {error}")
    return len(listed)


def of_distribution(document: dict[str, Any], name: str, before: frozenset[str]) -> dict[str, Any]:
    """The document with the distribution as its subject.

    It names neither what the environment had `before`, nor a path of this machine.
    """
    gone = {one["bom-ref"] for one in document["components"] if one["name"].lower() in before}
    [subject] = [one for one in document["components"] if one["name"].lower() == name]
    kept = [one for one in document["components"] if one["bom-ref"] not in gone and one is not subject]
    subject.pop("externalReferences", None)  # where this machine had the file
    return document | {
        "metadata": document["metadata"] | {"component": subject},
        "components": kept,
        "dependencies": [
            one
            | (
                {"dependsOn": [ref for ref in one["dependsOn"] if ref not in gone]}
                if "dependsOn" in one
                else {}
            )
            for one in document["dependencies"]
            if one["ref"] not in gone
        ],
    }
