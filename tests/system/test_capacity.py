"""The capacity model against the real line: predicted from service times that were measured a moment before."""

import os

import pytest

from opica.amqp.topology import Topology
from opica.products import load_product
from perf.capacity.comparison import compare
from perf.capacity.measure import Place, calibrate

pytestmark = pytest.mark.system


async def test_the_model_predicts_what_the_line_carries(line, photographs):
    images, product = list(photographs.values()), load_product("te_head")
    place = Place(line.environment["AMQP_URL"], line.settings.triton, os.getpid(), Topology())

    calibration = await calibrate(place, product, line.catalogue.resolve("te_head").version, images, 25)
    seen = await compare(place, calibration, images, "te_head", 60, in_flight=12)

    # docs/capacity.md: within 10 % while others took as much of the machine in the run as in the calibration, 22 % while
    # that changed. The model is told how many cores they had; caches shared with them still change what an image costs.
    assert 0.6 < seen.ratio < 1.6, f"{seen.line()}; {calibration.source}"
    assert seen.cpu_ms == pytest.approx(cpu_ms(calibration), rel=0.5), f"{seen.line()}; {calibration.source}"


def cpu_ms(calibration):
    """Of all parts, an image."""
    (bridge,) = calibration.workers
    stages = [*bridge.before, *bridge.after, calibration.machine.client, calibration.triton.transport]
    stages += [calibration.broker.deliver, calibration.broker.confirm]
    return sum(stage.cpu_ms for stage in stages) + sum(step.image_ms for step in calibration.triton.steps)
