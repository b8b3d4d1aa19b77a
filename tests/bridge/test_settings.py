import os
from pathlib import Path

import pytest

from bridge.__main__ import Settings
from opica.errors import ConfigurationError

NEEDED = {"AMQP_URL": "amqp://localhost", "OPICA_IMAGE_ROOTS": "/images", "OPICA_MASKS": "/masks"}


def test_what_is_not_set_has_a_default():
    settings = Settings.from_environment(NEEDED)

    assert settings == Settings(
        amqp_url="amqp://localhost",
        triton="localhost:8001",
        repository=Path("model_repository"),
        roots=(Path("/images"),),
        masks=Path("/masks"),
        prefetch=12,
        prefix="opica",
    )


def test_every_setting_is_read():
    environment = {
        **NEEDED,
        "OPICA_TRITON": "triton:9001",
        "OPICA_REPOSITORY": "/models",
        "OPICA_PREFETCH": "32",
        "OPICA_PREFIX": "line3",
    }

    settings = Settings.from_environment(environment)

    assert (settings.triton, settings.repository) == ("triton:9001", Path("/models"))
    assert (settings.prefetch, settings.prefix) == (32, "line3")


def test_several_roots_are_separated_as_in_path():
    settings = Settings.from_environment({**NEEDED, "OPICA_IMAGE_ROOTS": f"/images{os.pathsep}/archive"})

    assert settings.roots == (Path("/images"), Path("/archive"))


def test_an_empty_entry_among_the_roots_does_not_allow_the_working_directory():
    settings = Settings.from_environment({**NEEDED, "OPICA_IMAGE_ROOTS": f"/images{os.pathsep}"})

    assert settings.roots == (Path("/images"),)


@pytest.mark.parametrize("name", sorted(NEEDED))
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_needed_and_absent_is_named(name, value):
    environment = {k: v for k, v in {**NEEDED, name: value}.items() if v is not None}

    with pytest.raises(ConfigurationError, match=f"{name} is not set"):
        Settings.from_environment(environment)


@pytest.mark.parametrize("prefetch", ["", "0", "1001", "-1", "1.5", "many", "²"])
def test_a_prefetch_that_is_no_number_of_messages_is_refused(prefetch):
    with pytest.raises(ConfigurationError, match="OPICA_PREFETCH"):
        Settings.from_environment({**NEEDED, "OPICA_PREFETCH": prefetch})


@pytest.mark.parametrize("prefetch", ["1", "1000"])
def test_the_ends_of_the_prefetchs_range_are_accepted(prefetch):
    assert Settings.from_environment({**NEEDED, "OPICA_PREFETCH": prefetch}).prefetch == int(prefetch)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"OPICA_PREFETCH": "many"})

    for name in (*NEEDED, "OPICA_PREFETCH"):
        assert name in str(caught.value)
