"""The factory's side of a line in containers: photographs onto its volume, requests over AMQP, decisions from the gateway."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

from deploy.docker.compose import Compose
from deploy.local.photographs import drawn
from opica.errors import Unavailable

PRODUCT = "te_head"
FOLDER = "/var/lib/opica/images/verify"


class Factory:
    """Args: folder: where the photographs are drawn."""

    def __init__(self, compose: Compose, gateway: str, folder: Path) -> None:
        self.compose, self.gateway, self.folder = compose, gateway, folder
        made = compose.execute("gateway", "python3", "-m", "gateway", "key", "verify", "--role", "operator")
        if made.returncode:
            raise Unavailable(f"gateway key: {made.stderr}")
        self.key = made.stdout.split()[-1]
        self.names: list[str] = []

    def deliver(self, number: int) -> None:
        """Draw photographs and copy them onto the line's volume, as cameras would.

        Raises:
            Unavailable: the engine cannot.
        """
        photographs = drawn(self.folder, "--golden", str(number), "--seed", "24")
        image = self.compose.inspect("bridge")["Config"]["Image"]
        volume = next(
            m["Name"] for m in self.compose.inspect("bridge")["Mounts"] if m["Destination"] == "/var/lib/opica/images"
        )
        copied = subprocess.run(
            [
                self.compose.engine, "run", "--rm", "--network", "none", "--user", "0:0", "--entrypoint", "cp",
                "--volume", f"{volume}:/to", "--volume", f"{photographs[0].parent}:/from:ro", image,
                "--recursive", "/from", f"/to/{Path(FOLDER).name}",
            ],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if copied.returncode:
            raise Unavailable(f"photographs: {copied.stderr}")
        self.names = [photograph.name for photograph in photographs]

    def send(self, number: int, patience_s: float = 120.0) -> dict[str, str]:
        """Requests for so many photographs, as cameras send them: again until the broker has taken each.

        Returns:
            The photograph's name by inspection id.

        Raises:
            Unavailable: the broker does not take them all.
        """
        left = [self.names[index % len(self.names)] for index in range(number)]
        sent: dict[str, str] = {}
        deadline = time.monotonic() + patience_s
        while left:
            images = [f"file://{FOLDER}/{name}" for name in left]
            done = self.compose.execute("bridge", "python3", "-m", "bridge", "send", "--product", PRODUCT, *images)
            taken = re.findall(r"^sent (\S+) \S+/(\S+)$", done.stdout, re.MULTILINE)
            sent.update(taken)
            left = left[len(taken) :]
            if left and time.monotonic() > deadline:
                raise Unavailable(f"send: {len(sent)} of {number} taken: {done.stderr}")
        return sent

    def missing(self, sent: dict[str, str], patience_s: float) -> list[str]:
        """Inspection ids of which the gateway knows no decision, after waiting for them."""
        deadline = time.monotonic() + patience_s
        left = list(sent)
        while left and time.monotonic() < deadline:
            left = [identity for identity in left if self.decision(identity) is None]
            time.sleep(0.5)
        return left

    def decision(self, identity: str) -> dict[str, Any] | None:
        """What was recorded, if it was."""
        try:
            return self._ask(Request(f"{self.gateway}/v1/inspections/{identity}"))
        except (URLError, OSError):  # not recorded yet, or the gateway without its database
            return None

    def upload(self) -> str:
        """Inspect one photograph by REST; the decision.

        Raises:
            Unavailable: it is refused.
        """
        photograph = next(self.folder.rglob(self.names[0]))
        boundary = uuid4().hex
        body = b"".join(
            [
                f'--{boundary}\r\nContent-Disposition: form-data; name="product"\r\n\r\n{PRODUCT}\r\n'.encode(),
                f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{photograph.name}"\r\n'
                f"Content-Type: application/octet-stream\r\n\r\n".encode(),
                photograph.read_bytes(),
                f"\r\n--{boundary}--\r\n".encode(),
            ]
        )
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        try:
            data = self._ask(Request(f"{self.gateway}/v1/inspections", data=body, headers=headers))
        except HTTPError as error:
            raise Unavailable(f"upload: {error.code} {error.read().decode(errors='replace')}") from error
        except OSError as error:
            raise Unavailable(f"upload: {error}") from error
        return f"{data['decision']} {' '.join(reason['code'] for reason in data['reasons'])}".strip()

    def table(self, sent: dict[str, str]) -> Iterator[str]:
        """A line a photograph."""
        for identity, name in sent.items():
            data = self.decision(identity)
            if data is None:
                yield f"{name:24} lost"
            else:
                reasons = " ".join(reason["code"] for reason in data["reasons"])
                yield f"{name:24} {data['decision']:7} {data['release']:12} {data['timings_ms']['total']:6.0f} ms  {reasons}"

    def _ask(self, request: Request) -> dict[str, Any]:
        request.add_header("Authorization", f"Bearer {self.key}")
        with urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))
