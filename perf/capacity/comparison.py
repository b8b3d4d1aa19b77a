"""A real line against what the model predicts of it, from service times measured just before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perf.capacity.arrivals import Closed
from perf.capacity.calibration import Calibration
from perf.capacity.factory import keep_in_flight
from perf.capacity.line import Deployment
from perf.capacity.measure import Place
from perf.capacity.processes import Meter
from perf.capacity.simulation import Result, simulate


@dataclass(frozen=True)
class Compared:
    in_flight: int
    measured: float
    """images/s"""
    predicted: float
    cpu_ms: float
    """of the whole line, an image, while measured"""
    others_cores: float

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured / self.predicted

    def line(self) -> str:
        return (
            f"compare: in_flight={self.in_flight} measured={self.measured:.1f} predicted={self.predicted:.1f} "
            f"ratio={self.ratio:.3f} cpu_ms={self.cpu_ms:.1f} others_cores={self.others_cores:.2f}"
        )


def predict(calibration: Calibration, in_flight: int, others_cores: float | None = None) -> Result:
    """One Triton and one bridge with so many photographs under way.

    Args:
        others_cores: that others keep busy meanwhile; None: as many as while it was calibrated.
    """
    if calibration.machine is not None and others_cores is not None:
        background = min(others_cores, calibration.machine.cores - 0.05)
        machine = calibration.machine.model_copy(update={"background": background})
        calibration = calibration.model_copy(update={"machine": machine})
    return simulate(calibration, Deployment(1, {"bridge": 1}), Closed(in_flight), seconds=60, warm_up_s=5)


async def compare(
    place: Place, calibration: Calibration, images: Sequence[Path], product: str, number: int, in_flight: int
) -> Compared:
    """Run ``number`` photographs through the real line; the model is told how many cores others had meanwhile.

    Raises:
        Unavailable: the line does not answer.
    """
    await keep_in_flight(place.amqp_url, place.topology, images, product, in_flight, in_flight)
    with Meter(place.root) as meter:
        run = await keep_in_flight(place.amqp_url, place.topology, images, product, number, in_flight)
        spent = meter.spent()
    predicted = predict(calibration, in_flight, spent.others_cores).images_per_s
    cpu_ms = sum(spent.cpu_s.values()) / number * 1000
    return Compared(in_flight, run.images_per_s, predicted, cpu_ms, spent.others_cores)
