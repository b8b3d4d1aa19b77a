"""A real image server, which says byte for byte what a test wants said, and a name server beside it."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CAM = "cam.factory.test"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def said(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> Answer:
    """A whole answer, with a true Content-Length unless another is given."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode("latin-1") + body)

    return answer


@dataclass
class ImageServer:
    """Answers by path; one TLS server on 127.0.0.1 for as many names as its certificate holds."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    """heads, as they came"""
    names: list[str | None] = field(default_factory=list)
    """which TLS was asked for (SNI), a connection each"""
    connections: int = 0

    def url(self, path: str, host: str = CAM) -> str:
        return f"https://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                path = head.split(b" ")[1].decode().partition("?")[0]
                await self.answers.get(path, said("404 Not Found"))(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """End the connection in the middle of it."""
    await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def listening(serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Another server; its port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    yield server.sockets[0].getsockname()[1]
    server.close()


class Names:
    """A name server: every name is on this machine, unless told otherwise."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        """host: what it says the first, second, ... and every further time"""
        self.asked = Counter[str]()
        self.failure: OSError | None = None
        self.silent = False

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked[host] += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.failure:
            raise self.failure
        answers = self.answers.get(host, [["127.0.0.1"]])
        return answers.pop(0) if len(answers) > 1 else answers[0]
