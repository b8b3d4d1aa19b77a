"""A RabbitMQ that speaks only to those whose certificate it knows."""

from pathlib import Path

import pytest
import trustme
from clean_environment import clean_environment

from deploy.local.rabbitmq import Node, server_script
from deploy.local.settings import Settings, free_port
from deploy.local.supervisor import Supervisor
from opica.amqp.connection import declare
from opica.amqp.link import Link, parameters
from opica.amqp.topology import Topology
from opica.errors import ConfigurationError, Unavailable
from opica.values import tls_context

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def papers(authority, tmp_path_factory) -> Path:
    """ca.pem, cert.pem and key.pem, good for broker and client."""
    folder = tmp_path_factory.mktemp("papers")
    ours = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    ours.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    ours.private_key_pem.write_to_path(folder / "key.pem")
    return folder


@pytest.fixture(scope="module")
def amqps_url(papers, tmp_path_factory):
    var, port = tmp_path_factory.mktemp("tls"), free_port()
    lines = [
        f"listeners.ssl.default = {port}",
        f"ssl_options.cacertfile = {papers}/ca.pem",
        f"ssl_options.certfile = {papers}/cert.pem",
        f"ssl_options.keyfile = {papers}/key.pem",
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true",
    ]
    settings = Settings.from_environment(clean_environment(var))
    try:
        node = Node("rabbitmq", server_script(print), var / "broker", settings.amqp_port, free_port(), "\n".join(lines) + "\n")
    except ConfigurationError as error:
        pytest.skip(str(error))
    supervisor = Supervisor([node.part()], settings.logs)
    try:
        supervisor.start()
        yield f"amqps://guest:guest@localhost:{port}/"
    finally:
        supervisor.stop()


async def test_with_certificates_that_both_sides_know_the_line_is_open(amqps_url, papers):
    broker = parameters(amqps_url, tls_context(papers / "ca.pem", papers / "cert.pem", papers / "key.pem"))

    declare([broker], Topology("tls"))
    link = await Link.open([broker])

    assert await link.depth(Topology("tls").dead) == 0
    await link.close()


async def test_a_broker_of_an_authority_that_we_do_not_know_is_refused(amqps_url):
    with pytest.raises(Unavailable, match="localhost:.*(?i:certificate|ssl)"):
        await Link.open([parameters(amqps_url)])


async def test_without_a_certificate_of_ours_the_broker_refuses_us(amqps_url, papers):
    with pytest.raises(Unavailable, match="localhost"):
        await Link.open([parameters(amqps_url, tls_context(papers / "ca.pem", None, None))])
