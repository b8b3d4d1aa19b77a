"""What is set up wrongly: each part says in one line what is wrong, stays unready, and goes on by itself once it is mended.

The parts are real processes under the supervisor, which starts again what ends, as compose and Kubernetes do.
"""

import shutil
import socket
import threading
import time
from dataclasses import dataclass, replace
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg
import pytest
from clean_environment import clean_environment

from deploy.local.__main__ import assemble
from deploy.local.chaos.disk import SmallDisk, mount, unmount
from deploy.local.settings import Settings, free_port
from deploy.local.supervisor import Supervisor
from opica.releases import METADATA, Catalogue

pytestmark = pytest.mark.system

PARTS = ("recorder", "bridge", "gateway")
PATIENCE_S = 60.0


@dataclass
class Deployed:
    """Our three parts on a var of their own, beside the broker and the Triton that other tests use too."""

    settings: Settings
    supervisor: Supervisor

    def ready(self, name: str) -> tuple[int, str]:
        """Status and body; 0 and nothing while nobody listens."""
        port = getattr(self.settings, f"{name}_port")
        try:
            with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    def log(self, name: str) -> str:
        file = self.settings.logs / f"{name}.log"
        return file.read_text() if file.is_file() else ""

    def told(self, name: str, words: str) -> str:
        """The line, of its log or of what its readiness says, that holds these words; waits for it. It is not ready then."""

        def look():
            status, body = self.ready(name)
            return status != 200 and next((line for line in [*self.log(name).splitlines(), body] if words in line), None)

        return until(look, lambda: f"{name} says nothing of {words!r}: {self.log(name)[-1500:]} {self.ready(name)}")

    def becomes_ready(self, name: str) -> None:
        until(lambda: self.ready(name)[0] == 200, lambda: f"{name}: {self.ready(name)} {self.log(name)[-1500:]}")


def until(look, failure):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, failure()
        time.sleep(0.2)
    return found


@pytest.fixture
def deploy(tmp_path, line, topology, amqp_url):
    """Starts parts on the shared line's Triton and broker; ``changes`` are settings."""
    started = []

    def deployed(*names: str, **changes: str) -> Deployed:
        var = tmp_path / "var"
        given = {"OPICA_REPOSITORY": str(line.settings.repository), "OPICA_PREFIX": topology.prefix, "AMQP_URL": amqp_url}
        environment = clean_environment(var, **given)
        settings = Settings.from_environment(environment)
        parts, _ = assemble(settings, set(names), None)
        common = {"OPICA_TRITON": line.settings.triton, "AMQP_URL": amqp_url, **changes}
        own = [replace(part, environment={**part.environment, **common}, healthy=lambda: True) for part in parts]
        supervisor = Supervisor(own, settings.logs, lambda _: None)
        started.append(supervisor)
        supervisor.start()
        return Deployed(settings, supervisor)

    yield deployed
    for supervisor in started:
        supervisor.stop()


def test_a_secret_that_is_missing_is_named_and_its_parts_start_once_it_is_there(deploy, tmp_path, amqp_url):
    secret = tmp_path / "amqp"
    line = deploy(*PARTS, AMQP_URL="", AMQP_URL_FILE=str(secret))

    for name in PARTS:
        assert str(secret) in line.told(name, "AMQP_URL_FILE is")
    secret.write_text(amqp_url)

    for name in PARTS:
        line.becomes_ready(name)


def test_a_wrong_password_is_told_without_it_and_the_right_one_in_the_file_mends_it(deploy, tmp_path, amqp_url):
    secret = tmp_path / "amqp"
    secret.write_text(amqp_url.replace("guest:guest", "guest:not-the-password"))
    line = deploy("recorder", "bridge", AMQP_URL="", AMQP_URL_FILE=str(secret))

    said = [line.told(name, "no broker lets us in") for name in ("recorder", "bridge")]
    assert all("Authentication" in text or "ACCESS_REFUSED" in text for text in said)
    assert "not-the-password" not in line.log("bridge") + line.log("recorder") + "".join(said)
    secret.write_text(amqp_url)
    for name in ("recorder", "bridge"):  # files are read at the start: what compose restart or a rollout does
        line.supervisor.running[name].terminate()

    for name in ("recorder", "bridge"):
        line.becomes_ready(name)


class Door:
    """A port that leads to another, once it is opened."""

    def __init__(self, port: int) -> None:
        self.port, self.target = free_port(), port
        self.listening: socket.socket | None = None

    def open(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        if self.listening is not None:
            self.listening.shutdown(socket.SHUT_RDWR)  # or the thread that accepts would keep it open
            self.listening.close()
            self.listening = None

    def _serve(self) -> None:
        while True:
            try:
                inner = self.listening.accept()[0]
            except OSError:
                return
            outer = socket.create_connection(("127.0.0.1", self.target))
            for one, other in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def door():
    doors = []

    def to(port: int) -> Door:
        doors.append(Door(port))
        return doors[-1]

    yield to
    for one in doors:
        one.close()


def test_a_broker_that_cannot_be_reached_is_named_and_found_by_itself(deploy, door, amqp_url):
    port = int(amqp_url.rpartition(":")[2].partition("/")[0])
    way = door(port)
    line = deploy("recorder", "bridge", AMQP_URL=amqp_url.replace(f":{port}", f":{way.port}"))

    for name in ("recorder", "bridge"):
        assert f"127.0.0.1:{way.port}" in line.told(name, "no broker lets us in")
    way.open()

    for name in ("recorder", "bridge"):
        line.becomes_ready(name)
    assert line.supervisor.restarts == {}


def test_a_database_that_cannot_be_reached_is_told_in_a_line_and_found_by_itself(deploy, door, postgresql):
    way = door(postgresql.port)
    store, record = postgresql.create(f"store-{way.port}"), postgresql.create(f"record-{way.port}")
    there = [url.replace(f":{postgresql.port}", f":{way.port}") for url in (store, record)]
    line = deploy(*PARTS, OPICA_DATABASE=there[0], OPICA_RECORD=there[1])

    for name in PARTS:
        said = line.told(name, "database: ")
        assert f"port {way.port} failed: Connection refused Is the server running" in said
    way.open()

    for name in PARTS:
        line.becomes_ready(name)


def test_a_gateway_whose_database_goes_away_is_not_ready_until_it_is_back(deploy, door, postgresql):
    way = door(postgresql.port)
    way.open()
    url = postgresql.create(f"away-{way.port}").replace(f":{postgresql.port}", f":{way.port}")
    line = deploy("gateway", OPICA_DATABASE=url)
    line.becomes_ready("gateway")

    way.close()
    with psycopg.connect(postgresql.url("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [f"away-{way.port}"])
    line.told("gateway", "database: ")
    way.open()

    line.becomes_ready("gateway")
    assert line.supervisor.restarts == {}


def test_a_champion_that_the_repository_does_not_hold_is_named_until_another_is_promoted(deploy, tmp_path, line):
    repository = tmp_path / "repository"
    for version in ("1", "2"):
        folder = repository / "te_head_segnet" / version
        folder.mkdir(parents=True)
        shutil.copy(line.settings.repository / "te_head_segnet" / version / METADATA, folder)
    catalogue = Catalogue(repository)
    catalogue.promote("te_head", "champion", "te_head_v2", who="a test", why="it is about to be lost")
    shutil.rmtree(repository / "te_head_segnet/2")
    own = deploy("bridge", "gateway", OPICA_REPOSITORY=str(repository))

    for name in ("bridge", "gateway"):
        own.told(name, f"champion of te_head is te_head_v2, which {repository} does not hold")
    catalogue.promote("te_head", "champion", "te_head_v1", who="a test", why="which is there")

    for name in ("bridge", "gateway"):
        own.becomes_ready(name)
    assert own.supervisor.restarts == {}


@pytest.fixture
def small_disk(tmp_path):
    """A disk that can be filled, for masks or a database."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not mount(folder, 8):
        pytest.skip("only root may mount a small disk")
    yield SmallDisk(folder)
    unmount(folder)


def test_a_full_volume_is_named_and_there_is_room_again_by_itself(small_disk, deploy):
    masks = small_disk.ballast.parent
    line = deploy("bridge", "gateway", OPICA_MASKS=str(masks))
    for name in ("bridge", "gateway"):
        line.becomes_ready(name)

    small_disk.fill()
    for name in ("bridge", "gateway"):
        line.told(name, f"{masks} cannot be written to: No space left on device")
    small_disk.relieve()

    for name in ("bridge", "gateway"):
        line.becomes_ready(name)
    assert line.supervisor.restarts == {}


def test_a_recorder_whose_database_has_no_room_says_so_and_records_once_it_has(small_disk, deploy):
    small_disk.fill()
    line = deploy("recorder", OPICA_DATABASE=f"sqlite:///{small_disk.ballast.parent}/opica.db")

    line.told("recorder", "database: ")
    small_disk.relieve()

    line.becomes_ready("recorder")
    assert line.supervisor.restarts == {}
