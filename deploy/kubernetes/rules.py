"""``python -m deploy.kubernetes.rules``: the alert rules of deploy/observability/rules as PrometheusRules, on standard output.

Prometheus reads the files themselves; its operator wants them within a resource. The rules are written once, there:

    python -m deploy.kubernetes.rules > deploy/kubernetes/components/monitoring/rules.yaml
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).resolve().parents[1] / "observability" / "rules"
HEAD = "# Written by python -m deploy.kubernetes.rules from deploy/observability/rules; change it there.\n"


def resource(file: Path) -> dict[str, Any]:
    """A file of rules as a PrometheusRule."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": file.stem},
        "spec": yaml.safe_load(file.read_text()),
    }


def written(folder: Path = RULES) -> str:
    """Every file of rules, one document each, by name."""
    documents = [resource(file) for file in sorted(folder.glob("*.yml"))]
    return HEAD + yaml.safe_dump_all(documents, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(written())
