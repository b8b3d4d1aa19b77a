"""Triton over TLS: a real gRPC server with a real certificate."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import trustme
from tritonclient.grpc import service_pb2, service_pb2_grpc

from opica.addresses import TritonTls, common_name
from opica.errors import ConfigurationError, Unavailable
from opica.settings import InspectorSettings
from opica.triton import TritonInspector


class Echo(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Gives back what it was given."""

    async def ModelInfer(self, request, context):  # noqa: N802 - gRPC's name
        answer = service_pb2.ModelInferResponse(model_name=request.model_name)
        (tensor,) = request.inputs
        answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        answer.raw_output_contents.append(request.raw_input_contents[0])
        return answer


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path) -> Path:
    file = tmp_path / "ca.crt"
    authority.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture
async def address(authority) -> AsyncIterator[str]:
    """Of a server whose certificate names the service, as all Tritons of a cluster have one."""
    certificate = authority.issue_cert("triton")
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Echo(), server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)]))
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


async def test_a_triton_that_bears_the_services_name_is_asked_by_its_address(address, trusted):
    inspector = TritonInspector(address, tls=TritonTls(trusted, "triton"))

    await inspector.check_runtime()  # known tensors through ECHO, unchanged

    await inspector.close()


@pytest.mark.parametrize("name", [None, "another"])
async def test_a_certificate_of_another_name_is_refused(address, trusted, name):
    inspector = TritonInspector(address, tls=TritonTls(trusted, name))

    with pytest.raises(Unavailable):
        await inspector.check_runtime()
    await inspector.close()


async def test_a_certificate_of_somebody_elses_authority_is_refused(address, tmp_path):
    file = tmp_path / "other.crt"
    trustme.CA().cert_pem.write_to_path(str(file))
    inspector = TritonInspector(address, tls=TritonTls(file, "triton"))

    with pytest.raises(Unavailable):
        await inspector.check_runtime()
    await inspector.close()


async def test_who_talks_in_the_clear_gets_no_answer(address):
    inspector = TritonInspector(address)

    with pytest.raises(Unavailable):
        await inspector.check_runtime()
    await inspector.close()


def test_only_a_dns_name_is_borne_by_all():
    assert common_name("dns:triton:8001") == "triton"
    assert common_name("one:8001,two:8001") is None


def test_the_settings_say_whom_to_trust(trusted, tmp_path):
    given = {"OPICA_REPOSITORY": str(tmp_path), "OPICA_TRITON": "dns:triton:8001"}

    assert InspectorSettings.from_environment(given).triton_tls is None
    settings = InspectorSettings.from_environment({**given, "OPICA_TRITON_CA_FILE": str(trusted)})
    assert settings.triton_tls == TritonTls(trusted, "triton")
    with pytest.raises(ConfigurationError, match="OPICA_TRITON_CA_FILE"):
        InspectorSettings.from_environment({**given, "OPICA_TRITON_CA_FILE": str(tmp_path / "none")})
