"""Secrets from files: NAME_FILE names one where NAME would show in a dump of the environment."""

import pytest

from opica.errors import ConfigurationError
from opica.settings import Environment, variable


class Settings(Environment):
    url: str = variable("OPICA_TEST_URL", "where it is", "a URL", secret=True)
    level: str = variable("OPICA_TEST_LEVEL", "how much", "a word", "info")


def test_a_secret_is_read_from_its_file_without_the_lines_end(tmp_path):
    (tmp_path / "url").write_text("amqp://opica:geheim@rabbitmq/\n")
    settings = Settings.from_environment({"OPICA_TEST_URL_FILE": str(tmp_path / "url")})
    assert settings.url == "amqp://opica:geheim@rabbitmq/"
    assert "geheim" not in repr(settings)


def test_a_file_that_is_not_there_is_named_in_one_line(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"OPICA_TEST_URL_FILE": str(tmp_path / "url")})
    _, *mistakes = str(caught.value).splitlines()
    told = f"OPICA_TEST_URL_FILE is '{tmp_path}/url', which cannot be read: No such file or directory"
    assert [mistake.strip() for mistake in mistakes] == [told]


def test_a_secret_said_twice_is_refused(tmp_path):
    (tmp_path / "url").write_text("amqp://a/")
    with pytest.raises(ConfigurationError, match="OPICA_TEST_URL and OPICA_TEST_URL_FILE are both set"):
        Settings.from_environment({"OPICA_TEST_URL": "amqp://b/", "OPICA_TEST_URL_FILE": str(tmp_path / "url")})


def test_a_file_for_what_is_no_secret_is_told_not_ignored(tmp_path):
    (tmp_path / "url").write_text("amqp://a/")
    given = {"OPICA_TEST_URL_FILE": str(tmp_path / "url"), "OPICA_TEST_LEVEL_FILE": str(tmp_path / "level")}
    with pytest.raises(ConfigurationError, match="OPICA_TEST_LEVEL_FILE is unknown; did you mean OPICA_TEST_LEVEL?"):
        Settings.from_environment(given)


def test_the_list_of_settings_tells_of_the_file():
    url, level = (line for line in Settings.describe().splitlines() if "OPICA_TEST" in line)
    assert "`OPICA_TEST_URL_FILE`" in url and "_FILE" not in level
