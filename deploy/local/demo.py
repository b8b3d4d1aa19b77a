"""The demo: photographs go in over AMQP, decisions come out, and a contact sheet shows them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bridge.client import Client
from deploy.local.photographs import drawn
from opica.amqp.topology import Topology
from opica.errors import OpicaError
from opica.images import SUFFIXES
from opica.messages import Answer, DecisionEvent, ExpiredEvent, InvalidEvent, Request, RequestData
from opica.products import Product, load_product
from opica.rendering import mask_from_png, overlay

PHOTOGRAPHS = 24


@dataclass(frozen=True)
class Row:
    image: Path
    answer: Answer | None


def inspect(images: list[Path], product: str, client: Client, console: Console, patience_s: float) -> tuple[list[Row], float]:
    """Send a request for each image and wait for every answer; seconds from first request to last answer."""
    requests = {
        request.id: (request, image)
        for image in images
        for request in [
            Request(source="opica/demo", data=RequestData(image=image.resolve().as_uri(), product=product, head_id=image.stem))
        ]
    }
    answers: dict[str, tuple[Answer, float]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    started = time.perf_counter()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("inspecting", total=len(requests))
        for request, _ in requests.values():
            client.send(request)
        deadline = time.monotonic() + patience_s
        while len(answers) < len(requests) and time.monotonic() < deadline:
            for answer in client.receive(timeout_s=0.2):
                identity = answer.data.inspection_id
                if identity in requests and identity not in answers:
                    answers[identity] = (answer, time.perf_counter())
                    progress.advance(task)
                    deadline = time.monotonic() + patience_s
    elapsed = max((when for _, when in answers.values()), default=time.perf_counter()) - started
    return [Row(image, answers[i][0] if i in answers else None) for i, (_, image) in requests.items()], elapsed


def table(rows: list[Row]) -> Table:
    result = Table("image", "decision", "reasons", "ms", title=None)
    for row in rows:
        match row.answer:
            case DecisionEvent(data=data):
                colour = "green" if data.decision == "accept" else "red"
                milliseconds = f"{data.timings_ms['total']:.0f}"
                result.add_row(row.image.name, f"[{colour}]{data.decision}", "\n".join(map(str, data.reasons)), milliseconds)
            case InvalidEvent(data=data):
                result.add_row(row.image.name, "[yellow]invalid", "\n".join(fault.problem for fault in data.faults), "")
            case ExpiredEvent(data=data):
                result.add_row(row.image.name, "[yellow]expired", f"{data.late_s:.1f} s late", "")
            case None:
                result.add_row(row.image.name, "[bold red]lost", "no answer", "")
    return result


def contact_sheet(rows: list[Row], product: Product, columns: int = 4, width: int = 480) -> Image.Image:
    """Overlays of all decided photographs, each under its name and decision."""
    tiles = []
    for row in rows:
        if isinstance(row.answer, DecisionEvent):
            data = row.answer.data
            mask = mask_from_png(Path(data.mask.removeprefix("file://")).read_bytes())
            picture = overlay(row.image.read_bytes(), mask, product, opacity=0.45)
            picture.thumbnail((width, width))
            tiles.append(
                (picture, f"{row.image.name}  {data.decision}  {' '.join(r.code for r in data.reasons)}", data.decision)
            )
    height = max((picture.height for picture, _, _ in tiles), default=1) + 22
    columns = min(columns, len(tiles)) or 1
    sheet = Image.new("RGB", (columns * (width + 8), -(-len(tiles) // columns) * (height + 8)), "#16181d")
    draw = ImageDraw.Draw(sheet)
    for index, (picture, caption, decision) in enumerate(tiles):
        x, y = index % columns * (width + 8) + 4, index // columns * (height + 8) + 4
        draw.text((x + 2, y + 4), caption, fill="#7fe08a" if decision == "accept" else "#ff8a80")
        sheet.paste(picture, (x, y + 20))
    return sheet


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.demo", description=__doc__)
    parser.add_argument("--images", type=Path, help="folder of photographs (default: 24 synthetic trailing edges)")
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--patience", type=float, default=60, help="seconds without an answer before giving up")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 110)
    var = Path(os.environ.get("OPICA_VAR", "var"))
    try:
        product = load_product(options.product)
        if options.images is None:
            images = drawn(var / "images/demo", "--golden", str(PHOTOGRAPHS), "--seed", "24")
        else:
            images = sorted(file for file in options.images.rglob("*") if file.suffix.lower() in SUFFIXES)
        if not images:
            console.print(f"[red]error: {options.images} holds no photographs ({', '.join(sorted(SUFFIXES))})")
            return 1
        client = Client(os.environ["AMQP_URL"], Topology(os.environ.get("OPICA_PREFIX", "opica")))
        rows, elapsed = inspect(images, product.name, client, console, options.patience)
        client.close()
    except OpicaError as error:
        console.print(f"[red]error: {error}")
        return 1
    console.print(table(rows))
    decided = sum(isinstance(row.answer, DecisionEvent) for row in rows)
    invalid = sum(isinstance(row.answer, InvalidEvent) for row in rows)
    lost = len(rows) - decided - invalid
    if decided:
        sheet = var / "contact_sheet.png"
        contact_sheet(rows, product).save(sheet)
        print(f"contact sheet: {os.path.relpath(sheet)}")
    print(f"demo: sent={len(rows)} decided={decided} invalid={invalid} lost={lost} images_per_s={len(rows) / elapsed:.1f}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
