import os
import re
import ssl
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import trustme

from bridge.operation.settings import BrokerSettings, Settings, describe
from opica.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def needed(tmp_path) -> dict[str, str]:
    """The least that a bridge needs."""
    for folder in ("images", "models"):
        (tmp_path / folder).mkdir()
    return {
        "AMQP_URL": "amqp://localhost",
        "OPICA_REPOSITORY": str(tmp_path / "models"),
        "OPICA_IMAGE_ROOTS": str(tmp_path / "images"),
        "OPICA_MASKS": str(tmp_path / "masks"),
    }


@pytest.fixture
def pem(tmp_path) -> dict[str, str]:
    """An authority, a certificate that it signed, its key, and the key of another."""
    authority = trustme.CA()
    mine, other = authority.issue_cert("bridge"), authority.issue_cert("stranger")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    mine.private_key_pem.write_to_path(tmp_path / "key.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    return {file.stem: str(file) for file in tmp_path.glob("*.pem")}


def mistakes(environment: dict[str, str], kind: type[BrokerSettings] = Settings) -> list[str]:
    """What is told, a line a mistake."""
    with pytest.raises(ConfigurationError) as caught:
        kind.from_environment(environment)
    head, *lines = str(caught.value).splitlines()
    assert head == f"mistakes in the environment: {len(lines)}"
    return [line.strip() for line in lines]


def test_what_is_not_set_has_a_default(needed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_environment(needed)

    assert settings.amqp_urls == ("amqp://localhost",)
    assert settings.triton == ("localhost:8001",)
    assert settings.record == f"sqlite:///{tmp_path}/var/bridge.db"
    assert settings.record_days == 30
    assert (settings.prefetch, settings.retry_limit, settings.drain_s) == (12, 20, 25)
    assert (settings.prefix, settings.log_format, settings.log_level) == ("opica", "json", "info")
    assert (settings.health_host, settings.health_port) == ("127.0.0.1", 0)
    assert (settings.image_hosts, settings.private_networks, settings.webhook, settings.traces) == ((), (), None, None)
    assert (settings.disk_free_percent, settings.queue_age_s, settings.shared_memory) == (5, 60, "auto")
    assert settings.tls() is None


def test_every_setting_is_read(needed, pem):
    environment = {
        **needed,
        "AMQP_URL": "amqps://opica:secret@one:5671/line, amqps://opica:secret@two:5671/line",
        "AMQP_CA_FILE": pem["ca"],
        "AMQP_CERT_FILE": pem["cert"],
        "AMQP_KEY_FILE": pem["key"],
        "OPICA_TRITON": "triton-a:8001, [::1]:9001",
        "OPICA_RECORD": "sqlite:////srv/record.db",
        "OPICA_RECORD_DAYS": "7",
        "OPICA_PREFETCH": "32",
        "OPICA_PREFIX": "line-3",
        "OPICA_HEALTH_PORT": "9090",
        "OPICA_HEALTH_HOST": "::",
        "OPICA_DRAIN_S": "7.5",
        "OPICA_RETRY_LIMIT": "5",
        "OPICA_IMAGE_HOSTS": "*.factory.example,10.1.2.3:8443",
        "OPICA_PRIVATE_NETWORKS": "10.1.0.0/16",
        "OPICA_IMAGE_CA_FILE": pem["ca"],
        "OPICA_WEBHOOK": "https://alerts.example/opica",
        "OPICA_WEBHOOK_SECRET": "hush",
        "OPICA_DISK_FREE_PERCENT": "12.5",
        "OPICA_QUEUE_AGE_S": "90",
        "OPICA_LOG_FORMAT": "TEXT",
        "OPICA_LOG_LEVEL": "Debug",
        "OPICA_TRACES": "http://collector:4318/v1/traces",
        "OPICA_SHARED_MEMORY": "off",
    }

    settings = Settings.from_environment(environment)

    assert settings.amqp_urls == ("amqps://opica:secret@one:5671/line", "amqps://opica:secret@two:5671/line")
    assert settings.triton == ("triton-a:8001", "[::1]:9001")
    assert settings.repository == Path(needed["OPICA_REPOSITORY"])
    assert (settings.record, settings.record_days) == ("sqlite:////srv/record.db", 7)
    assert (settings.prefetch, settings.prefix, settings.retry_limit, settings.drain_s) == (32, "line-3", 5, 7.5)
    assert (settings.health_host, settings.health_port) == ("::", 9090)
    assert settings.image_hosts == ("*.factory.example", "10.1.2.3:8443")
    assert settings.private_networks == (IPv4Network("10.1.0.0/16"),)
    assert settings.image_ca_file == Path(pem["ca"])
    assert (settings.webhook, settings.webhook_secret) == ("https://alerts.example/opica", "hush")
    assert (settings.disk_free_percent, settings.queue_age_s) == (12.5, 90)
    assert (settings.log_format, settings.log_level) == ("text", "debug")
    assert (settings.traces, settings.shared_memory) == ("http://collector:4318/v1/traces", "off")
    context = settings.tls()
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.get_ca_certs()[0]["subject"]


def test_the_record_may_be_a_postgresql_whose_url_names_no_driver(needed):
    url = "postgresql://opica:secret@database/opica"

    assert Settings.from_environment({**needed, "OPICA_RECORD": url}).record == url


def test_white_space_around_a_value_does_not_count(needed):
    assert Settings.from_environment({**needed, "OPICA_PREFIX": " line-3\n"}).prefix == "line-3"


def test_settings_do_not_change(needed):
    settings = Settings.from_environment(needed)

    with pytest.raises(ValueError, match="frozen"):
        settings.prefetch = 3


def test_several_roots_are_separated_as_in_path_and_an_empty_entry_is_not_the_working_directory(needed, tmp_path):
    (tmp_path / "archive").mkdir()
    roots = os.pathsep.join([str(tmp_path / "images"), "", str(tmp_path / "archive"), ""])

    settings = Settings.from_environment({**needed, "OPICA_IMAGE_ROOTS": roots})

    assert settings.image_roots == (tmp_path / "images", tmp_path / "archive")


def test_a_dns_name_may_stand_for_all_tritons(needed):
    assert Settings.from_environment({**needed, "OPICA_TRITON": "dns:triton:8001"}).triton == ("dns:triton:8001",)


def test_the_masks_folder_is_made(needed, tmp_path):
    settings = Settings.from_environment({**needed, "OPICA_MASKS": str(tmp_path / "new" / "masks")})

    assert settings.masks.is_dir()
    assert list(settings.masks.iterdir()) == []


def test_the_record_lies_under_opica_var_beside_what_other_parts_keep(needed, tmp_path):
    settings = Settings.from_environment({**needed, "OPICA_VAR": str(tmp_path / "keep")})

    assert settings.record == f"sqlite:///{tmp_path}/keep/bridge.db"


@pytest.mark.parametrize("name", ["AMQP_URL", "OPICA_IMAGE_ROOTS", "OPICA_MASKS"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_needed_and_absent_is_named(needed, name, value):
    environment = {k: v for k, v in {**needed, name: value}.items() if v is not None}

    (told,) = mistakes(environment)

    assert told.startswith(f"{name} is not set; wanted: ")


def test_an_optional_variable_that_is_empty_counts_as_not_set(needed):
    assert Settings.from_environment({**needed, "OPICA_WEBHOOK": "", "OPICA_PREFETCH": ""}).prefetch == 12


NUMBER = "wanted: a whole number from 1 to 1000"
ENDPOINT = "wanted: host:port[,host:port...] or dns:host:port"
BROKERS = "wanted: amqp:// or amqps:// URLs, comma-separated"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        *(("OPICA_PREFETCH", bad, f"OPICA_PREFETCH is '{bad}'; {NUMBER}") for bad in ("0", "1001", "-1", "1.5", "many", "²")),
        ("OPICA_RETRY_LIMIT", "0", f"OPICA_RETRY_LIMIT is '0'; {NUMBER}"),
        ("OPICA_DRAIN_S", "inf", "OPICA_DRAIN_S is 'inf'; wanted: seconds from 0 to 86400"),
        ("OPICA_DRAIN_S", "nan", "OPICA_DRAIN_S is 'nan'; wanted: seconds from 0 to 86400"),
        ("OPICA_QUEUE_AGE_S", "-1", "OPICA_QUEUE_AGE_S is '-1'; wanted: seconds from 0 to 86400"),
        ("OPICA_DISK_FREE_PERCENT", "100", "OPICA_DISK_FREE_PERCENT is '100'; wanted: a number from 0 to less than 100"),
        ("OPICA_HEALTH_PORT", "65536", "OPICA_HEALTH_PORT is '65536'; wanted: a whole number from 0 to 65535"),
        ("OPICA_HEALTH_HOST", "a b", "OPICA_HEALTH_HOST is 'a b'; wanted: an address of this machine"),
        ("OPICA_PREFIX", "li/ne", "OPICA_PREFIX is 'li/ne'; wanted: up to 64 letters, digits, '.', '_', '-'"),
        ("OPICA_LOG_FORMAT", "xml", "OPICA_LOG_FORMAT is 'xml'; wanted: json or text"),
        ("OPICA_LOG_LEVEL", "loud", "OPICA_LOG_LEVEL is 'loud'; wanted: debug, info, warning or error"),
        ("OPICA_SHARED_MEMORY", "on", "OPICA_SHARED_MEMORY is 'on'; wanted: auto or off"),
        ("OPICA_TRITON", "triton", f"OPICA_TRITON is 'triton' (this is no host:port); {ENDPOINT}"),
        ("OPICA_TRITON", "a:8001,:1", f"OPICA_TRITON is ':1' (this is no host:port); {ENDPOINT}"),
        ("OPICA_TRITON", "a:0", f"OPICA_TRITON is 'a:0' (this is no host:port); {ENDPOINT}"),
        ("OPICA_TRITON", "http://a:1", f"OPICA_TRITON is 'http://a:1' (this is no host:port); {ENDPOINT}"),
        ("OPICA_TRITON", "dns:a:1,b:1", f"OPICA_TRITON is 'dns:a:1,b:1' (dns: stands alone); {ENDPOINT}"),
        ("OPICA_TRITON", ",", f"OPICA_TRITON is ','; {ENDPOINT}"),
        ("OPICA_REPOSITORY", "/no", "OPICA_REPOSITORY is '/no' (there is no such folder); wanted: a folder"),
        (
            "OPICA_IMAGE_HOSTS",
            "a,ftp://b",
            "OPICA_IMAGE_HOSTS is 'ftp://b' (this is no pattern of a host); "
            "wanted: host, host:port, *.domain or http://host, comma-separated",
        ),
        (
            "OPICA_WEBHOOK_SECRET",
            "whsec_hunter2",
            "OPICA_WEBHOOK_SECRET is wrong (after whsec_ comes no base64); wanted: any text, or whsec_ and base64",
        ),
        (
            "OPICA_PRIVATE_NETWORKS",
            "10.0.0.1/8",
            "OPICA_PRIVATE_NETWORKS is '10.0.0.1/8'; wanted: networks such as 10.1.0.0/16, comma-separated",
        ),
        ("OPICA_IMAGE_CA_FILE", "/no", "OPICA_IMAGE_CA_FILE is '/no' (there is no such file); wanted: a PEM file"),
        (
            "OPICA_WEBHOOK",
            "ftp://user:hunter2@a",
            "OPICA_WEBHOOK is wrong (this is no http:// or https:// URL with a host); wanted: an http(s) URL",
        ),
        (
            "OPICA_TRACES",
            "http://a:70000",
            "OPICA_TRACES is wrong (this is no http:// or https:// URL with a host); wanted: a URL such as http://collector:4318/v1/traces",
        ),
        (
            "OPICA_RECORD",
            "nosuch://user:hunter2@a/b",
            "OPICA_RECORD is wrong (this is no URL of a database that SQLAlchemy knows); wanted: a SQLAlchemy URL",
        ),
        (
            "OPICA_RECORD",
            "oracle://user:hunter2@a/b",
            "OPICA_RECORD is wrong (its driver 'oracledb' is not installed); wanted: a SQLAlchemy URL",
        ),
        (
            "AMQP_URL",
            "amqp://user:hun,ter2@a",
            f"AMQP_URL is wrong in part 1 (its port, virtual host or options cannot be read); {BROKERS}",
        ),
        ("AMQP_URL", "amqp://user:hunter2@", f"AMQP_URL is wrong in part 1 (it names no host); {BROKERS}"),
        (
            "AMQP_URL",
            "amqp://a,b",
            f"AMQP_URL is wrong in part 2 (it does not begin so; a comma in a password is written %2C); {BROKERS}",
        ),
        (
            "AMQP_URL",
            "amqp://a?heartbeat=never",
            f"AMQP_URL is wrong in part 1 (its port, virtual host or options cannot be read); {BROKERS}",
        ),
        ("AMQP_URL", ",", f"AMQP_URL is wrong; {BROKERS}"),
    ],
)
def test_a_bad_value_is_told_with_its_variable_what_is_wrong_and_what_is_wanted(needed, name, value, told):
    assert told in mistakes({**needed, name: value})


@pytest.mark.parametrize("value", ["1", "1000"])
def test_the_ends_of_a_range_are_accepted(needed, value):
    assert Settings.from_environment({**needed, "OPICA_PREFETCH": value}).prefetch == int(value)


def test_every_absent_root_is_named(needed, tmp_path):
    roots = os.pathsep.join(["/no/a", str(tmp_path / "images"), "/no/b"])

    told = mistakes({**needed, "OPICA_IMAGE_ROOTS": roots})

    wanted = f"(there is no such folder); wanted: folders, separated by '{os.pathsep}'"
    assert told == [f"OPICA_IMAGE_ROOTS is '/no/a' {wanted}", f"OPICA_IMAGE_ROOTS is '/no/b' {wanted}"]


def test_masks_that_cannot_be_written_are_told(needed, tmp_path):
    (tmp_path / "file").write_text("in the way")

    (told,) = mistakes({**needed, "OPICA_MASKS": f"{tmp_path}/file/masks"})

    wanted = "(it cannot be written to: Not a directory); wanted: a writable folder"
    assert told == f"OPICA_MASKS is '{tmp_path}/file/masks' {wanted}"


def test_a_default_that_does_not_hold_is_told_too(needed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    del needed["OPICA_REPOSITORY"]

    assert mistakes(needed) == ["OPICA_REPOSITORY is 'model_repository' (there is no such folder); wanted: a folder"]


def test_a_certificate_wants_its_key(needed, pem):
    tls = {**needed, "AMQP_URL": "amqps://a"}

    alone = mistakes({**tls, "AMQP_CERT_FILE": pem["cert"]})
    mixed = mistakes({**tls, "AMQP_CERT_FILE": pem["cert"], "AMQP_KEY_FILE": pem["other"]})
    absent = mistakes({**tls, "AMQP_CERT_FILE": pem["cert"], "AMQP_KEY_FILE": "/no"})

    assert alone == ["AMQP_CERT_FILE is set alone; wanted: AMQP_CERT_FILE and AMQP_KEY_FILE together"]
    assert mixed == ["AMQP_CERT_FILE and AMQP_KEY_FILE are no certificate and its key: KEY_VALUES_MISMATCH"]
    assert absent == ["AMQP_KEY_FILE is '/no' (there is no such file); wanted: a PEM file without a passphrase"]


def test_an_authority_that_is_no_certificate_is_told(needed, pem):
    (told,) = mistakes({**needed, "AMQP_URL": "amqps://a", "AMQP_CA_FILE": pem["key"]})

    assert told == f"AMQP_CA_FILE is '{pem['key']}' (it holds no certificate); wanted: a PEM file"


def test_tls_that_no_broker_would_use_is_told(needed, pem):
    told = mistakes({**needed, "AMQP_CA_FILE": pem["ca"]})

    assert told == ["AMQP_CA_FILE is set, but AMQP_URL names no amqps:// broker: nothing would be encrypted"]


def test_a_secret_without_a_webhook_is_told(needed):
    assert mistakes({**needed, "OPICA_WEBHOOK_SECRET": "hush"}) == ["OPICA_WEBHOOK_SECRET is set, but OPICA_WEBHOOK is not"]


def test_all_mistakes_are_told_at_once():
    told = mistakes({"OPICA_PREFETCH": "many", "OPICA_MASK": "/masks", "OPICA_WEBHOOK_SECRET": "hush", "AMQP_KEY_FILE": "/no"})

    named = [line.split()[0] for line in told if not line.startswith("OPICA_REPOSITORY")]
    assert named == [
        "OPICA_MASK",
        "AMQP_URL",
        "AMQP_KEY_FILE",
        "OPICA_IMAGE_ROOTS",
        "OPICA_MASKS",
        "OPICA_PREFETCH",
        "AMQP_KEY_FILE",
        "OPICA_WEBHOOK_SECRET",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OPICA_PREFETCHS", "OPICA_PREFETCH"),
        ("OPICA_IMAGES_ROOT", "OPICA_IMAGE_ROOTS"),
        ("OPICA_HELTH_PORT", "OPICA_HEALTH_PORT"),
        ("OPICA_AMQP_URL", "AMQP_URL"),
        ("AMQP_URLS", "AMQP_URL"),
        ("AMQP_CAFILE", "AMQP_CA_FILE"),
        ("opica_prefix", "OPICA_PREFIX"),
    ],
)
def test_a_misspelt_variable_is_told(needed, name, meant):
    assert mistakes({**needed, name: "x"}) == [f"{name} is unknown; did you mean {meant}?"]


@pytest.mark.parametrize("name", ["OPICA_SOMETHING_ELSE", "PREFETCH", "HOME", "OPICA_GATEWAY_PORT", "OPICA_AMQP_PORT"])
def test_a_variable_of_others_is_none_of_our_business(needed, name):
    assert Settings.from_environment({**needed, name: "x"}) == Settings.from_environment(needed)


def test_what_kubernetes_sets_for_a_service_is_no_misspelling(needed):
    environment = {**needed, "OPICA_TRITON_PORT": "tcp://10.0.0.7:8001", "OPICA_TRITON_PORT_8001_TCP": "tcp://10.0.0.7:8001"}

    assert Settings.from_environment(environment).triton == ("localhost:8001",)


def test_no_variable_that_the_project_names_is_taken_for_a_misspelling(needed):
    sources = [ROOT / "Makefile", ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("*.yml")]
    for part in ("bridge", "deploy", "gateway", "opica", "perf", "training", "python_backends"):
        sources += (ROOT / part).rglob("*.py")
    names = {name for file in sources for name in re.findall(r"\b(?:OPICA|AMQP)_[A-Z_]+[A-Z]\b", file.read_text())}
    assert len(names) > 20

    for name in names:
        try:
            Settings.from_environment({**needed, name: needed.get(name, "x")})
        except ConfigurationError as error:
            assert "unknown" not in str(error)


def test_secrets_are_not_shown(needed):
    environment = {
        **needed,
        "AMQP_URL": "amqp://user:hunter2@broker/line",
        "OPICA_RECORD": "sqlite:///hunter2.db",
        "OPICA_WEBHOOK": "https://a/hunter2",
        "OPICA_WEBHOOK_SECRET": "hunter2",
        "OPICA_TRACES": "https://user:hunter2@collector",
    }
    settings = Settings.from_environment(environment)

    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()}"
    assert "hunter2" not in " ".join(mistakes({**environment, "OPICA_PREFETCH": "0"}))


def test_a_mistake_leaves_no_trace_of_a_secret_in_the_error_that_caused_it(needed):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({**needed, "AMQP_URL": "amqp://user:hunter2@a?heartbeat=never"})

    assert "hunter2" not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"


def test_engineers_verbs_need_only_the_broker():
    settings = BrokerSettings.from_environment({"AMQP_URL": "amqp://a,amqp://b", "OPICA_PREFETCH": "many"})

    assert settings.amqp_urls == ("amqp://a", "amqp://b")
    assert mistakes({"OPICA_PREFIXX": "x"}, BrokerSettings) == [
        "OPICA_PREFIXX is unknown; did you mean OPICA_PREFIX?",
        f"AMQP_URL is not set; {BROKERS}",
    ]


def test_the_table_names_every_variable_with_meaning_and_default():
    lines = describe().splitlines()

    assert len({len(line) for line in lines}) == 1
    rows = {cells[1].strip(): cells for cells in (line.split("|") for line in lines)}
    assert set(rows) == {"Variable", "---"} | {f"`{field.alias}`" for field in Settings.model_fields.values()}
    assert rows["`AMQP_URL`"][3].strip() == "needed"
    assert rows["`OPICA_PREFETCH`"][2].strip() == "requests in flight at most: a whole number from 1 to 1000"
    assert rows["`OPICA_PREFETCH`"][3].strip() == "`12`"
    assert rows["`OPICA_RECORD`"][3].strip() == "`sqlite:///{OPICA_VAR}/bridge.db`"
    assert rows["`OPICA_IMAGE_HOSTS`"][3].strip() == "none"
