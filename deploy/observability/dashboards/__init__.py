"""Grafana's dashboards: ``NAME.yml`` is what one reads and changes, ``../grafana/dashboards/NAME.json`` what Grafana loads."""

from pathlib import Path

SHEETS = Path(__file__).parent
WRITTEN = SHEETS.parent / "grafana" / "dashboards"
