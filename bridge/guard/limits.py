"""Control limits: is the reject rate, or the pace of decisions, still what it was?

Feeds the charts of ``opica.control_charts`` (Laney's p' for rejects, u' for the pace) and raises what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bridge.guard.guardian import Guardian
from opica.control_charts import Chart, PaceChart, Reference, RejectChart
from opica.messages import AlertKind

LINE = "line"  # the subject of the pace over all products


@dataclass
class _Rejects:
    chart: RejectChart
    since: float
    rejects: int = 0
    decisions: int = 0


@dataclass
class _Pace:
    chart: PaceChart
    looked_at: float = 0.0
    waiting: bool = False
    fresh: int = 0
    """decisions since the last look"""
    decisions: int = 0
    busy_s: float = 0.0


@dataclass
class ControlLimits:
    """Feeds the charts from the stream of decisions, and the guardian from the charts. Times are seconds of one clock.

    Args:
        subgroup, subgroup_s: a subgroup of rejects has at least so many decisions and takes at least so long; without
            the second, a fast line would see false alarms all day instead of about one.
        interval_s: a subgroup of the pace, in seconds in which requests waited.
        baseline, calm: see ``Chart``.
        rejects, paces: given references by product (the pace of all: ``LINE``); what is not given is learned.
        max_products: further ones are not watched.
    """

    guardian: Guardian
    subgroup: int = 200
    subgroup_s: float = 300.0
    interval_s: float = 60.0
    baseline: int = 25
    calm: int = 3
    rejects: Mapping[str, Reference] = field(default_factory=dict)
    paces: Mapping[str, Reference] = field(default_factory=dict)
    max_products: int = 64
    _rejects: dict[str, _Rejects] = field(default_factory=dict, init=False)
    _paces: dict[str, _Pace] = field(default_factory=dict, init=False)

    def observe(self, product: str, decision: Literal["accept", "reject"], at: float) -> None:
        """One part was decided (not: answered from the record)."""
        for subject in {LINE, product}:
            if pace := self._paces.get(subject):
                pace.fresh += 1
        stream = self._rejects.get(product)
        if stream is None:
            if len(self._rejects) >= self.max_products:
                return
            chart = RejectChart(self.baseline, self.calm, self.rejects.get(product))
            stream = self._rejects[product] = _Rejects(chart, at)
        stream.decisions += 1
        stream.rejects += decision == "reject"
        if stream.decisions >= self.subgroup and at - stream.since >= self.subgroup_s:
            self._judge("reject-rate", product, stream.chart, stream.rejects, stream.decisions)
            stream.rejects, stream.decisions, stream.since = 0, 0, at

    def waiting(self, requests: int, at: float, product: str = LINE) -> None:
        """So many requests wait now behind those in work; say it every second or so.

        Only time between two looks that both found some counts for the pace: an idle line is not slow.
        """
        pace = self._paces.get(product)
        if pace is None:
            if len(self._paces) > self.max_products:
                return
            pace = self._paces[product] = _Pace(PaceChart(self.baseline, self.calm, self.paces.get(product)))
        # looks too far apart say nothing of the time between: the broker may have been away
        if pace.waiting and requests > 0 and at - pace.looked_at <= self.interval_s / 2:
            pace.busy_s += at - pace.looked_at
            pace.decisions += pace.fresh
        pace.fresh, pace.waiting, pace.looked_at = 0, requests > 0, at
        if pace.busy_s >= self.interval_s:
            self._judge("decision-rate", product, pace.chart, pace.decisions, pace.busy_s)
            pace.decisions, pace.busy_s = 0, 0.0

    def relearn(self, product: str) -> None:
        """Forget what was normal: a new release or recipe decides from now on."""
        if self._rejects.pop(product, None):
            self.guardian.cleared("reject-rate", product, "its reference is learned anew")
        if self._paces.pop(product, None):
            self.guardian.cleared("decision-rate", product, "its reference is learned anew")

    def charts(self) -> dict[tuple[AlertKind, str], Chart]:
        """By kind and subject, with ``state``, ``reference`` and, the subgroups ``learned`` so far."""
        charts: dict[tuple[AlertKind, str], Chart] = {("reject-rate", name): of.chart for name, of in self._rejects.items()}
        return charts | {("decision-rate", name): of.chart for name, of in self._paces.items()}

    def _judge(self, kind: AlertKind, subject: str, chart: Chart, count: int, area: float) -> None:
        if breach := chart.add(count, area):
            self.guardian.raised(kind, subject, breach[0], value=count / area, limit=breach[1])
        elif chart.state == "in control":
            self.guardian.cleared(kind, subject, f"back in control for {chart.well} subgroups")
