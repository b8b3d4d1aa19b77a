"""``python -m deploy.local.audit``: known vulnerabilities of what is pinned (pip-audit), and its CycloneDX bill of materials.

Writes var/sbom/pip-audit.json and var/sbom/opica-python.cdx.json; images have bills of their own (deploy/docker/release).
Exit code 1: a pin is vulnerable; 2: not every pin could be looked up, which proves nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.settings import ROOT

SERVICES = ("pypi", "osv")


@dataclass(frozen=True)
class Findings:
    """What is known about the pins."""

    clean: tuple[str, ...]
    vulnerable: tuple[str, ...]
    """a line each: name, version, identities, versions without"""
    unknown: tuple[str, ...]
    """names that the service could say nothing of"""

    def line(self) -> str:
        return f"audit: clean={len(self.clean)} vulnerable={len(self.vulnerable)} unknown={len(self.unknown)}"

    @property
    def status(self) -> int:
        return 1 if self.vulnerable else 2 if self.unknown or not self.clean else 0


def read(report: dict[str, Any]) -> Findings:
    """pip-audit's JSON. What it skipped it counts as fine; we do not."""
    clean, vulnerable, unknown = [], [], []
    for one in report["dependencies"]:
        if "skip_reason" in one:
            unknown.append(one["name"])
        elif not one["vulns"]:
            clean.append(one["name"])
        for flaw in one.get("vulns", ()):
            names = "/".join([flaw["id"], *flaw.get("aliases", ())])
            mended = ", ".join(flaw.get("fix_versions", ())) or "none yet"
            vulnerable.append(f"{one['name']} {one['version']}: {names}, mended in {mended}")
    return Findings(tuple(clean), tuple(vulnerable), tuple(unknown))


def run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], check=False, capture_output=True, text=True, cwd=ROOT)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.audit", description=__doc__)
    parser.add_argument("--tools", type=Path, default=Path(sys.executable).parent, help="folder of pip-audit and cyclonedx-py")
    parser.add_argument("--service", choices=SERVICES, default=SERVICES[0], help="who knows vulnerabilities")
    parser.add_argument("--pins", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "sbom")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    bill = options.out / "opica-python.cdx.json"
    described = ["requirements", options.pins, "--spec-version", "1.6", "--output-format", "JSON", "--output-file", bill]
    written = run([options.tools / "cyclonedx-py", *described, "--pyproject", ROOT / "pyproject.toml", "--output-reproducible"])
    if written.returncode:
        print(f"error: cyclonedx-py: {written.stderr.strip()[-500:]}", file=sys.stderr)
        return 2
    print(f"bill of materials: {bill}, {len(json.loads(bill.read_text())['components'])} components")

    # every pin is in the list already: nothing is resolved, downloaded or run
    asked = ["--requirement", options.pins, "--no-deps", "--disable-pip", "--vulnerability-service", options.service]
    audited = run([options.tools / "pip-audit", *asked, "--format", "json", "--progress-spinner", "off"])
    try:
        findings = read(json.loads(audited.stdout))
    except ValueError:
        print(f"error: pip-audit: {(audited.stderr.strip().splitlines() or ['it says nothing'])[-1]}", file=sys.stderr)
        return 2
    (options.out / "pip-audit.json").write_text(audited.stdout)
    for one in findings.vulnerable:
        print(one)
    if findings.unknown:
        told = f"{len(findings.unknown)} pins, such as {', '.join(findings.unknown[:5])}"
        print(f"error: {options.service} said nothing of {told}: is it reached?", file=sys.stderr)
    print(findings.line())
    return findings.status


if __name__ == "__main__":
    sys.exit(main())
