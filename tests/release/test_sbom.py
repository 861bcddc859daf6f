"""The SBOM of a distribution is about it and what it needs, and not about this machine."""

from __future__ import annotations

from release.sbom import of_distribution

FOUND = {
    "metadata": {"tools": {}},
    "components": [
        {"bom-ref": "a==1", "name": "A", "externalReferences": [{"url": "file:///home/me/a.whl"}]},
        {"bom-ref": "b==1", "name": "b", "externalReferences": [{"url": "https://b.example"}]},
        {"bom-ref": "pip==1", "name": "pip"},
    ],
    "dependencies": [{"ref": "a==1", "dependsOn": ["b==1", "pip==1"]}, {"ref": "b==1"}, {"ref": "pip==1"}],
}


def test_the_distribution_is_its_subject_and_pip_no_part_of_it() -> None:
    assert of_distribution(FOUND, "a", frozenset({"pip"})) == {
        "metadata": {"tools": {}, "component": {"bom-ref": "a==1", "name": "A"}},
        "components": [
            {"bom-ref": "b==1", "name": "b", "externalReferences": [{"url": "https://b.example"}]}
        ],
        "dependencies": [{"ref": "a==1", "dependsOn": ["b==1"]}, {"ref": "b==1"}],
    }
