import pytest

from bridge.operation.settings import Settings as BridgeSettings
from gateway.settings import Settings
from opica.errors import ConfigurationError

OIDC = {"OPICA_OIDC_ISSUER": "https://id", "OPICA_OIDC_CLIENT_ID": "opica", "OPICA_OIDC_CLIENT_SECRET": "s3cret"}


@pytest.fixture
def needed(tmp_path) -> dict[str, str]:
    """What is not so without anything being set."""
    (tmp_path / "models").mkdir()
    return {"OPICA_REPOSITORY": str(tmp_path / "models"), "OPICA_VAR": str(tmp_path / "var")}


def mistakes(environment: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment(environment)
    head, *lines = str(caught.value).splitlines()
    assert head == f"mistakes in the environment: {len(lines)}"
    return [line.strip() for line in lines]


def test_what_is_not_set_has_a_default(needed, tmp_path):
    settings = Settings.from_environment(needed)

    assert (settings.host, settings.port, settings.https) == ("127.0.0.1", 8080, False)
    assert settings.database == f"sqlite:///{tmp_path}/var/opica.db"
    assert settings.masks == tmp_path / "var/masks"
    assert settings.roots == (tmp_path / "var/images", tmp_path / "var/masks")
    assert settings.amqp_urls == settings.hosts == settings.proxies == ()
    assert settings.provider is None


def test_pictures_are_read_below_every_root_once(needed, tmp_path):
    settings = Settings.from_environment({**needed, "OPICA_IMAGE_ROOTS": f"{tmp_path}:{tmp_path}/var/masks"})

    assert settings.roots == (tmp_path / "var/images", tmp_path / "var/masks", tmp_path)


def test_every_mistake_is_told_at_once(needed):
    wrong = {
        "AMQP_URL": "http://localhost",
        "OPICA_REPOSITORY": "nowhere",
        "OPICA_GATEWAY_PORT": "80800",
        "OPICA_HTTPS": "perhaps",
        "OPICA_DATABASE": "oracle9://x",
        "OPICA_OIDC_ROLES": '{"a": "king"}',
        "OPICA_GATEWAY_PROT": "1",
    }

    told = mistakes({**needed, **wrong})

    assert len(told) == len(wrong)
    assert {line.split()[0] for line in told} == set(wrong)
    assert "did you mean OPICA_GATEWAY_PORT?" in told[0]


@pytest.mark.parametrize("missing", OIDC)
def test_a_provider_is_set_whole_or_not_at_all(needed, missing):
    assert Settings.from_environment({**needed, **OIDC}).provider is not None

    (told,) = mistakes({**needed, **{name: value for name, value in OIDC.items() if name != missing}})

    assert missing in told


@pytest.mark.parametrize(("url", "fine"), [("http://id", False), ("http://localhost:8", True), ("http://127.0.0.1:8", True)])
def test_a_provider_is_asked_over_https_unless_it_is_here(needed, url, fine):
    environment = {**needed, **OIDC, "OPICA_OIDC_ISSUER": url}

    if fine:
        assert Settings.from_environment(environment).oidc_issuer == url
    else:
        assert "https" in mistakes(environment)[0]


def test_secrets_are_not_shown(needed):
    environment = {**needed, **OIDC, "AMQP_URL": "amqp://ana:pa55@localhost", "OPICA_DATABASE": "sqlite:///pa55.db"}

    assert "s3cret" not in repr(Settings.from_environment(environment))
    assert "pa55" not in repr(Settings.from_environment(environment))
    assert "pa55" not in "".join(mistakes({**environment, "AMQP_URL": "pa55"}))


@pytest.mark.parametrize(
    ("host", "https", "warned"),
    [("127.0.0.1", "0", False), ("::1", "0", False), ("localhost", "", False), ("0.0.0.0", "", True), ("::", "0", True)]
    + [("10.1.2.3", "0", True), ("0.0.0.0", "1", False)],
)
def test_who_listens_for_others_without_tls_is_warned(needed, host, https, warned):
    settings = Settings.from_environment({**needed, "OPICA_GATEWAY_HOST": host, "OPICA_HTTPS": https})

    assert (settings.open_to_others is not None) == warned


def test_what_the_bridge_reads_is_not_taken_for_misspelt(needed):
    theirs = {str(field.alias): "" for field in BridgeSettings.model_fields.values()}

    Settings.from_environment({**theirs, "OPICA_GATEWAY": "http://localhost", "OPICA_TRITON_PORT": "tcp://1", **needed})


def test_every_variable_is_listed():
    listed = Settings.describe()

    assert all(f"`{field.alias}`" in listed for field in Settings.model_fields.values())
    assert "| `8080` " in listed
