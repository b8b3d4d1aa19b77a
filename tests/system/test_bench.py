"""The benchmark with all its real parts, at its smallest: everybody answers, and everybody decides alike."""

import importlib.util
import os

import pytest

from deploy.local.baselines import baselines, running
from deploy.local.bench import Place, bench
from opica.amqp.topology import Topology
from perf.bench.figures import BARE, ENSEMBLE, LINE, ONE, PAPER, PLAIN, REST
from perf.bench.report import text
from perf.bench.rounds import Budget

pytestmark = pytest.mark.system

EVERYBODY = {BARE, ONE, LINE, REST, ENSEMBLE, PAPER, PLAIN}


@pytest.fixture(scope="module", autouse=True)
def installed():
    absent = [name for name in ("tensorflow", "onnxruntime", "fastapi") if importlib.util.find_spec(name) is None]
    if absent and not os.environ.get("CI"):
        pytest.skip(f"the baselines need {', '.join(absent)}: pip install --group bench")
    assert not absent


async def test_everybody_is_measured_and_decides_as_the_line_does(line, photographs, tmp_path):
    release = line.catalogue.resolve("te_head")
    place = Place(
        amqp_url=line.environment["AMQP_URL"],
        prefix=Topology().prefix,
        triton=line.settings.triton,
        gateway=line.settings.gateway_url,
        repository=line.settings.repository,
        var=line.settings.var,
        product="te_head",
        release=release,
        photographs=tuple(photographs.values()),
        key=line.key,
        root=os.getpid(),
    )
    uploads = set((line.settings.var / "images").glob("*.bmp"))
    parts, plain_url = baselines(place.baselines, place.amqp_url, place.repository, release, cores=2)

    with running(parts, tmp_path, print) as known:
        result = await bench(place, Budget(rounds=2, slot_s=0.3, alone_s=0.1, busy_s=0.5), plain_url, known, cores=2)

    # then every participant answered in both rounds, and burnt CPU where it was looked for
    assert len(result.rounds) == 2
    for one in result.rounds:
        assert set(one.slots) == set(one.alone_ms) == EVERYBODY
        assert all(slot.images >= 2 and slot.images_per_s > 0 and slot.memory_mb > 10 for slot in one.slots.values())
        assert all(slot.own_ms > 1 for slot in one.slots.values())
        assert one.busy_ms["p99"] >= one.busy_ms["p50"] > 0
    assert {"te_head_segnet", "bridge", "rabbitmq", "tritonserver"} <= result.rounds[0].slots[LINE].cpu_ms.keys()
    assert {"paper's server", "paper's workers"} <= result.rounds[0].slots[PAPER].cpu_ms.keys()
    # and the rounds began with different participants, and all decided alike
    assert [next(iter(one.slots)) for one in result.rounds] == [BARE, ONE]
    assert result.agreement == dict.fromkeys(EVERYBODY - {BARE, LINE}, "5/5")
    # and it can be told, and nothing is left
    assert result.line().startswith("bench: efficiency=")
    assert "te_head_segnet" in text(result, None)
    assert set((line.settings.var / "images").glob("*.bmp")) == uploads
    assert not list((place.baselines / "masks").iterdir())
