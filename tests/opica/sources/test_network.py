import pytest

from opica.errors import ConfigurationError
from opica.sources.network import Permitted, Resolver


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_public_addresses_are_permitted(address):
    assert address in Permitted(())


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",  # a metadata service
        "127.0.0.1",
        "127.8.8.8",
        "168.63.129.16",  # another, at a public address
        "169.254.169.254",  # the usual one
        "172.16.0.1",
        "192.0.0.192",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::5db8:d822",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",  # 6to4 of 127.0.0.1
        "2002:a9fe:a9fe::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_other_addresses_are_not(address):
    assert address not in Permitted(())


def test_private_networks_are_permitted_once_named():
    permitted = Permitted(("10.20.0.0/16", "fd00::/8"))

    assert all(address in permitted for address in ("10.20.3.4", "::ffff:10.20.3.4", "fd12::1", "93.184.216.34"))
    assert not any(address in permitted for address in ("10.21.0.1", "127.0.0.1", "::1", "2002:7f00:1::1"))


def test_an_address_that_stands_for_another_needs_both_permitted():
    translated = Permitted(("64:ff9b::/96",))

    assert "64:ff9b::5db8:d822" in translated  # 93.184.216.34
    assert "64:ff9b::a14:304" not in translated  # 10.20.3.4
    assert "64:ff9b::a14:304" in Permitted(("64:ff9b::/96", "10.20.0.0/16"))


@pytest.mark.parametrize("network", ["", "10.20.0.1/16", "10.0.0.0/33", "factory"])
def test_what_is_no_network_is_named(network):
    with pytest.raises(ConfigurationError, match="image networks"):
        Permitted((network,))


async def test_the_system_resolves_names_and_addresses():
    resolver = Resolver()

    assert "127.0.0.1" in await resolver("localhost", 443)
    assert await resolver("10.1.2.3", 443) == ["10.1.2.3"]
    resolver.close()


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".test"])
async def test_a_name_that_nobody_can_have_is_an_error_of_resolving(host):
    resolver = Resolver()

    with pytest.raises(OSError):
        await resolver(host, 443)
    resolver.close()
