"""perf/model_analyzer.yaml, held against the repository that it is to search."""

from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from opica.releases import Catalogue
from perf.profile.measure import steps_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wanted() -> dict:
    return yaml.safe_load((ROOT / "perf/model_analyzer.yaml").read_text())


def gpu_profile(model: str) -> ModelConfig:
    return text_format.Parse((ROOT / "model_repository" / model / "config.pbtxt").read_text(), ModelConfig())


def test_it_searches_a_published_release(wanted):
    releases = {release.name for release in Catalogue(ROOT / wanted["model_repository"]).releases("te_head")}

    assert set(wanted["profile_models"]) <= releases


def test_it_keeps_those_steps_on_the_cpu_that_the_gpu_profile_keeps_there(wanted, te_head):
    steps = [step.model for step in steps_of(te_head, "ensemble")]
    on_cpu = [
        model
        for model in steps
        if all(group.kind == ModelInstanceGroup.KIND_CPU for group in gpu_profile(model).instance_group)
    ]

    assert wanted["cpu_only_composing_models"] == on_cpu
