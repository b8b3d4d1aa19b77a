"""Is there room: time to end, time to answer, memory to share, connections to the database?"""

import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from google.protobuf import text_format
from sqlalchemy import Engine
from tritonclient.grpc.model_config_pb2 import ModelConfig

from bridge.operation import health
from bridge.operation.settings import Settings as BridgeSettings
from bridge.record import Record
from gateway.store.database import Database
from tests.deploy.kubernetes.manifests import OVERLAYS, ROOT, Manifests, render

REGION = 32 * 1024**2
"""of shared memory, a stub, at the start (shm-default-byte-size of deploy/docker/serve)"""

LAST_WORDS_S = 3
INFERENCE_S = 10
"""what opica.readiness.passes gives a trial"""


def default(field: str) -> float:
    """Of the bridge, which no manifest sets otherwise."""
    return float(BridgeSettings.model_fields[field].default)


def to_end(line: Manifests) -> None:
    assert "OPICA_DRAIN_S" not in line.environment(line.part("bridge"))
    assert line.pod("bridge")["terminationGracePeriodSeconds"] >= default("drain_s") + LAST_WORDS_S + 5
    for name in ("triton", "gateway"):
        sleep = line.part(name)["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert line.pod(name)["terminationGracePeriodSeconds"] >= sleep + 10


def to_answer(line: Manifests) -> None:
    check_s = signature(health.create_app).parameters["timeout_s"].default
    assert line.part("bridge")["readinessProbe"]["timeoutSeconds"] > check_s
    assert line.part("gateway")["readinessProbe"]["timeoutSeconds"] > INFERENCE_S


def before_the_alert(line: Manifests) -> None:
    """Bridges are added before anybody is told that requests grow old."""
    for scaled in (one["spec"] for one in line.of("ScaledObject") if one["metadata"]["name"] == "bridge"):
        threshold = next(float(one["metadata"]["threshold"]) for one in scaled["triggers"] if one["name"] == "age")
        assert threshold * scaled["minReplicaCount"] < default("queue_age_s")


def memory(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi)", text).groups()
    return int(number) * 1024 ** (1 + ("Ki", "Mi", "Gi").index(unit))


def stubs(gpu: bool) -> int:
    """Processes of the Python backend, of a profile."""
    found = 0
    for file in (ROOT / "model_repository").glob("*/config.pbtxt"):
        cpu = file.parent / "configs" / "cpu.pbtxt"
        chosen = cpu if cpu.is_file() and not gpu else file
        config = text_format.Parse(chosen.read_text(), ModelConfig())
        if config.backend == "python":
            versions = len(list(file.parent.glob("[0-9]*"))) if config.version_policy.HasField("all") else 1
            found += versions * sum(group.count for group in config.instance_group)
    return found


def to_share(line: Manifests) -> None:
    """Twice what the stubs begin with; and as much again, at least, that is not shared."""
    (shm,) = [one["emptyDir"] for one in line.pod("triton")["volumes"] if one["name"] == "shm"]
    gpu = any(name.startswith("nvidia.com/") for name in line.part("triton")["resources"]["limits"])
    assert shm.get("medium") == "Memory"
    assert memory(shm["sizeLimit"]) >= 2 * stubs(gpu) * REGION
    assert memory(line.part("triton")["resources"]["limits"]["memory"]) > 2 * memory(shm["sizeLimit"])
    assert {"name": "shm", "mountPath": "/dev/shm"} in line.part("triton")["volumeMounts"]


def for_engines(line: Manifests) -> None:
    """TensorRT's, where the configuration says."""
    if not line.part("triton")["image"].startswith("opica/triton-gpu"):
        return
    folders = {
        config.optimization.execution_accelerators.gpu_execution_accelerator[0].parameters["trt_engine_cache_path"]
        for file in (ROOT / "model_repository").glob("*_segnet/config.pbtxt")
        if (config := text_format.Parse(file.read_text(), ModelConfig()))
    }
    assert folders
    assert folders <= {mount["mountPath"] for mount in line.part("triton")["volumeMounts"]}


def most(engine: Engine) -> int:
    """Connections of one process."""
    return engine.pool.size() + engine.pool._max_overflow


def at_the_database(line: Manifests) -> None:
    """Everybody at most, one more of each while they are replaced, and 20 for its operator and for people."""
    with TemporaryDirectory() as folder:
        bridge = most(Record(f"sqlite:///{Path(folder, 'record.db')}").engine)
        gateway = most(Database(f"sqlite:///{Path(folder, 'store.db')}").engine)
    bridges = max(
        [one["spec"]["maxReplicaCount"] for one in line.of("ScaledObject") if one["metadata"]["name"] == "bridge"] + [1]
    )
    others = sum(line.get("Deployment", name)["spec"]["replicas"] + 1 for name in ("gateway", "recorder"))
    wanted = (bridges + 1) * bridge + others * gateway + 20
    assert int(line.of("Cluster")[0]["spec"]["postgresql"]["parameters"]["max_connections"]) >= wanted


CHECKS = (to_end, to_answer, before_the_alert, to_share, for_engines, at_the_database)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("check", CHECKS)
def test_there_is_room(check: Callable[[Manifests], None], overlay: str):
    check(render(overlay))


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        (to_end, lambda x: x.pod("bridge").update(terminationGracePeriodSeconds=30)),
        (to_end, lambda x: x.pod("triton").update(terminationGracePeriodSeconds=20)),
        (to_end, lambda x: x.part("gateway")["lifecycle"]["preStop"]["sleep"].update(seconds=55)),
        (to_end, lambda x: x.part("bridge")["env"].append({"name": "OPICA_DRAIN_S", "value": "300"})),
        (to_answer, lambda x: x.part("bridge")["readinessProbe"].update(timeoutSeconds=1)),
        (to_answer, lambda x: x.part("gateway")["readinessProbe"].update(timeoutSeconds=10)),
        (before_the_alert, lambda x: x.get("ScaledObject", "bridge")["spec"].update(minReplicaCount=6)),
        (to_share, lambda x: x.pod("triton")["volumes"].clear()),
        (to_share, lambda x: [one.get("emptyDir", {}).update(sizeLimit="256Mi") for one in x.pod("triton")["volumes"]]),
        (to_share, lambda x: [one.get("emptyDir", {}).pop("medium", None) for one in x.pod("triton")["volumes"]]),
        (to_share, lambda x: x.part("triton")["resources"]["limits"].update(memory="4Gi")),
        (to_share, lambda x: x.part("triton")["volumeMounts"].remove({"name": "shm", "mountPath": "/dev/shm"})),
        (for_engines, lambda x: x.part("triton").update(image="opica/triton-gpu:0.1.0")),
        (at_the_database, lambda x: x.get("ScaledObject", "bridge")["spec"].update(maxReplicaCount=12)),
        (at_the_database, lambda x: x.get("Deployment", "gateway")["spec"].update(replicas=6)),
    ],
)
def test_too_little_room_is_told(check: Callable[[Manifests], None], spoil: Callable[[Manifests], object]):
    line = render("cpu")
    spoil(line)

    with pytest.raises((AssertionError, ValueError)):
        check(line)
