"""Write an SBOM (CycloneDX 1.6, JSON) of what `pip install samplerproof` installs: `python release/sbom.py FILE`.

Read from the metadata of the environment that it runs in; hashes are those of release/requirements.lock, which has
every archive of a version. No clock and no random number: the same environment has the same SBOM.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parent / "requirements.lock"
ROOT = "samplerproof"


def needed(name: str) -> list[str]:
    """The names of what a distribution needs here, without its extras."""
    parsed = (Requirement(text) for text in distribution(name).requires or [])
    return sorted({canonicalize_name(r.name) for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})})


def closure(name: str) -> dict[str, list[str]]:
    """What a distribution needs, and what that needs in turn."""
    found: dict[str, list[str]] = {}
    left = [name]
    while left:
        if (one := left.pop()) not in found:
            found[one] = needed(one)
            left += found[one]
    return dict(sorted(found.items()))


def licences(of: Distribution) -> list[dict[str, Any]]:
    """The licence as an expression where the metadata has one, else as its own words."""
    if expression := of.metadata["License-Expression"]:
        return [{"expression": expression}]
    classifiers = [text for text in of.metadata.get_all("Classifier") or [] if text.startswith("License ::")]
    words = [text.split(" :: ")[-1] for text in classifiers] or [
        (of.metadata["License"] or "not stated").splitlines()[0]
    ]
    return [{"license": {"name": text}} for text in words]


def hashes(lock: str, name: str, version: str) -> list[str]:
    """The SHA-256 of each archive of that version in the lock file."""
    entry = re.search(rf"^{re.escape(name)}=={re.escape(version)}\b.*?(?=^\S|\Z)", lock, flags=re.M | re.S)
    return re.findall(r"sha256:([0-9a-f]{64})", entry.group()) if entry else []


def component(name: str, lock: str) -> dict[str, Any]:
    of = distribution(name)
    address = f"pkg:pypi/{name}@{of.version.partition('+')[0]}"
    kind = "application" if name == ROOT else "library"
    return {
        **{"type": kind, "bom-ref": address, "name": name, "version": of.version, "purl": address},
        "licenses": licences(of),
        # One archive of several is installed, and which is not recorded: they are listed as properties.
        "properties": [{"name": "archive:sha256", "value": value} for value in hashes(lock, name, of.version)],
    }


def sbom() -> dict[str, Any]:
    lock = LOCK.read_text(encoding="utf-8")
    found = closure(ROOT)
    parts = {name: component(name, lock) for name in found}
    return {
        **{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1},
        "metadata": {"component": parts[ROOT]},
        "components": [part for name, part in parts.items() if name != ROOT],
        "dependencies": [
            {"ref": parts[name]["bom-ref"], "dependsOn": [parts[other]["bom-ref"] for other in others]}
            for name, others in found.items()
        ],
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(sbom(), indent=1) + "\n", encoding="utf-8")
