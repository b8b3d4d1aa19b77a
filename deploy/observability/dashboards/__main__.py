"""``python -m deploy.observability.dashboards``: write Grafana's JSON."""

from __future__ import annotations

from deploy.observability.dashboards import SHEETS, WRITTEN
from deploy.observability.dashboards.panels import written

if __name__ == "__main__":
    for sheet in sorted(SHEETS.glob("*.yml")):
        (WRITTEN / f"{sheet.stem}.json").write_text(written(sheet))
