"""Bodies that are almost requests: fields dropped, doubled, moved, of another type, too large, badly encoded."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from opica.examples import REQUEST
from opica.messages import Request

SEEDS: tuple[bytes, ...] = (
    REQUEST.encode(),
    Request(id="part-7", source="line-3", data={"image": "file:///7.bmp", "product": "te_head"}).encode(),
    REQUEST.model_copy(
        update={"data": REQUEST.data.model_copy(update={"more_images": ("https://c/b.png", "data:image/png;base64,aGVsbG8=")})}
    ).encode(),
)


class Raw(str):
    """JSON text, or what takes the place of it."""


class Object(list):
    """[name, value] lists, so that a name can stand twice."""


HOSTILE = tuple(
    map(
        Raw,
        [
            *(
                "null",
                "true",
                "0",
                "-0",
                "-1",
                "1.5",
                "1E+2",
                "1e400",
                "-1e400",
                "NaN",
                "-Infinity",
                "9" * 300,
                "-" + "9" * 5000,
            ),
            *('""', '"x"', '" "', '"é"', '"😀"', '"a\\nb"', r'"\u0000"', r'"\ud800"', r'"\ud83d\ude00"', '"' + "x" * 600 + '"'),
            *(
                '"../../etc/passwd"',
                '"a/b"',
                '".."',
                '"file:///%00"',
                '"file://[a"',
                '"https://a:b@c/"',
                '"data:,"',
                '"urgent"',
            ),
            *("[]", "{}", "[[]]", "[{}]", '{"":{}}', '{"a":1,"a":2}', "[" * 150 + "]" * 150, "[" * 1200 + "]" * 1200),
            *("[" + "7," * 30 + "7]", "[" + '"x",' * 30 + '"x"]', "[" + "0," * 12_000 + "0]"),
            *("", "nul", "'x'", "[1,]", "{,}", "\0", "/**/", "01", "+1", "\ufeff"),
        ],
    )
)

TIMES = (
    *("2026-11-23T18:30:00", "2026-11-23", "2026-11-23T18:30:00.123456789Z", "2026-02-30T00:00:00Z", "2026-11-23T23:59:60Z"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-11-23T18:30:00+24:00", "1700000000", "now"),
)

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252")


def mutated(body: bytes, random: Random) -> bytes:
    """``body``, JSON or not, changed in one to five ways."""
    try:
        tree = json.loads(body, object_pairs_hook=lambda pairs: Object([name, value] for name, value in pairs))
        tree = Object([["", tree]])  # so that the whole has a place, too
        for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
            if places := [*_places(tree)]:
                random.choice(_CHANGES)(*random.choice(places), random)
        body = "".join(piece for _, whole in tree for piece in _written(whole)).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        body = _damaged(body, random)
    chance = random.random()
    if chance < 0.05:
        return body.decode(errors="replace").encode(random.choice(ENCODINGS), errors="replace")
    return _damaged(body, random) if chance < 0.15 else body


def _places(value: Any) -> Iterator[tuple[list[Any], int]]:
    """Every (container, index); those of an Object hold [name, value]."""
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield value, index
            yield from _places(child[1] if isinstance(value, Object) else child)


def _written(value: Any) -> Iterator[str]:
    if isinstance(value, Raw):
        yield value
    elif isinstance(value, Object):
        yield "{" + ",".join(f"{json.dumps(name)}:{''.join(_written(child))}" for name, child in value) + "}"
    elif isinstance(value, list):
        yield "[" + ",".join("".join(_written(child)) for child in value) + "]"
    else:
        yield json.dumps(value, ensure_ascii=False)


def _set(container: list[Any], index: int, value: Any) -> None:
    container[index] = [container[index][0], value] if isinstance(container, Object) else value


def _get(container: list[Any], index: int) -> Any:
    return container[index][1] if isinstance(container, Object) else container[index]


def _drop(container: list[Any], index: int, random: Random) -> None:
    del container[index]


def _replace(container: list[Any], index: int, random: Random) -> None:
    a_time = isinstance(container, Object) and container[index][0] in ("time", "deadline") and random.random() < 0.5
    _set(container, index, random.choice(TIMES if a_time else HOSTILE))


def _double(container: list[Any], index: int, random: Random) -> None:
    child = container[index]
    container.insert(random.randrange(len(container) + 1), [*child] if isinstance(container, Object) else child)


def _rename(container: list[Any], index: int, random: Random) -> None:
    if isinstance(container, Object):
        names = ("id", "ID", "data", "image", "recipe", "deadline", "", "\0", "\ud800", "__class__", "x" * 1000)
        container[index] = [random.choice(names), container[index][1]]


def _wrap(container: list[Any], index: int, random: Random) -> None:
    child = _get(container, index)
    _set(container, index, random.choice(([child], Object([["", child]]), Raw(json.dumps("".join(_written(child)))))))


def _grow(container: list[Any], index: int, random: Random) -> None:
    child, times = _get(container, index), random.choice((2, 20, 2000))
    if isinstance(child, str) and not isinstance(child, Raw) and len(child) < 5000:
        _set(container, index, child * times)
    elif isinstance(child, Object):
        child.extend([f"n{n}", random.choice(HOSTILE[:20])] for n in range(min(times, 200)))


def _insert(container: list[Any], index: int, random: Random) -> None:
    value = random.choice(HOSTILE)
    container.insert(index, ["unknown", value] if isinstance(container, Object) else value)


_CHANGES: tuple[Callable[[list[Any], int, Random], None], ...] = (
    _drop,
    _replace,
    _replace,
    _double,
    _rename,
    _wrap,
    _grow,
    _insert,
)


def _damaged(body: bytes, random: Random) -> bytes:
    """One byte flipped, left out, put in, or the rest cut off."""
    at = random.randrange(len(body) + 1)
    return random.choice(
        (
            body[:at],
            body[:at] + body[at + 1 :],
            body[:at] + bytes([random.randrange(256)]) + body[at + 1 :],
            body[:at] + random.choice((b"\0", b"\xff", b"\xc3", b'"', b"{", b"}", b",", b"\\u")) + body[at:],
        )
    )
