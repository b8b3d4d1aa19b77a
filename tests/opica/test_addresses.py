import socket

import pytest

from opica.addresses import resolver
from opica.errors import ConfigurationError, Unavailable


async def test_a_list_is_itself_without_what_stands_twice():
    assert await resolver("a:8001, b:8002,a:8001,")() == ("a:8001", "b:8002")


async def test_a_dns_name_stands_for_all_its_addresses():
    known = {info[4][0] for info in socket.getaddrinfo("localhost", 8001, type=socket.SOCK_STREAM)}

    found = await resolver("dns:localhost:8001")()

    assert set(found) == {f"[{place}]:8001" if ":" in place else f"{place}:8001" for place in known}
    assert "127.0.0.1:8001" in found


async def test_a_name_without_address_is_unavailable():
    with pytest.raises(Unavailable, match=r"nowhere\.invalid has no address"):
        await resolver("dns:nowhere.invalid:8001")()


@pytest.mark.parametrize(
    "text", ["", " , ", "host", "host:", ":8001", "host:port", "host:0", "host:65536", "dns:host", "dns:", "http://h:1"]
)
def test_what_is_no_address_is_refused_with_what_is_wanted(text):
    with pytest.raises(ConfigurationError, match="host:port"):
        resolver(text)
