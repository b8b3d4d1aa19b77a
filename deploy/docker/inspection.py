"""What a running container of ours must be, looked at from inside and from the engine."""

from __future__ import annotations

from deploy.docker.compose import Compose

FOREIGN = ("tritonserver", "openvino", "tensorflow", "nvidia", "cc", "gcc", "pip")
"""what has no business in the bridge's and the gateway's image"""
LARGEST = {"bridge": 300_000_000, "gateway": 500_000_000, "triton": 1_500_000_000}
"""bytes unpacked; a third of the gateway's and less in a registry"""


def container_faults(compose: Compose, service: str, ours: bool) -> list[str]:
    """What is wrong with a container."""
    found = []
    told = compose.inspect(service)
    host = told["HostConfig"]
    if not host["ReadonlyRootfs"]:
        found.append("its root can be written to")
    if not host["Memory"]:
        found.append("it may take all memory")
    published = [port for port, at in (host.get("PortBindings") or {}).items() if at]
    if published and service not in ("gateway", "grafana"):
        found.append(f"publishes {', '.join(published)}")
    shown = " ".join(told["Config"]["Env"])
    if "://opica:" in shown or "PASS=" in shown:
        found.append("a password stands in its environment")
    if ours:
        user = compose.execute(service, "id", "--user").stdout.strip()
        if user != "10001":
            found.append(f"runs as {user or 'nobody knows whom'}")
        if compose.execute(service, "touch", "/opt/opica/x").returncode == 0:
            found.append("it can change its own code")
        if "NoNewPrivs:\t1" not in compose.execute(service, "cat", "/proc/self/status").stdout:
            found.append("it may gain privileges")
        first = compose.execute(service, "cat", "/proc/1/environ").stdout
        if "://opica:" in first:
            found.append("a password stands in its process's environment")
        if "://opica:" in compose.logs(service):
            found.append("a password stands in its log")
    return found


def image_faults(compose: Compose, service: str) -> list[str]:
    """What is wrong with an image: its size, and what it holds that its part does not need."""
    found = []
    if (size := compose.image_size(service)) > LARGEST[service]:
        found.append(f"takes {size:,} bytes, more than {LARGEST[service]:,}")
    if service != "triton":
        search = ("find", "/opt", "/usr/bin", "/usr/local", "-maxdepth", "6", *_names(FOREIGN), "-print")
        found += [f"holds {path}" for path in compose.execute(service, *search).stdout.split()]
    return found


def _names(names: tuple[str, ...]) -> list[str]:
    words = ["("]
    for name in names:
        words += ["-name", name, "-o"]
    return [*words[:-1], ")"]
