"""KLARF 1.2, the defect list that yield-management systems of semiconductor factories read.

KLA publishes no free specification; this follows what public descriptions and readers agree on: records end in a semicolon,
``FileVersion 1 2`` opens, ``EndOfFile`` closes, years have two digits, lengths are micrometres, y goes up.

Ours are these assumptions, since a recording head is no wafer:

- A part is a die, the only one (0 0) of a wafer of its own: ``WaferID`` is the head's id (the inspection's where there is
  none), ``LotID`` its lot. A file holds one section, from ``ResultTimestamp`` to ``SummaryList``, for each inspection.
- ``DiePitch`` is the size of the photograph, whose lower left corner is the die's origin. ``XREL``, ``YREL`` are the middle of
  a component, ``XSIZE``, ``YSIZE`` its box, ``DSIZE`` its greatest length.
- Events hold no photograph size. Micrometres per mask pixel come from the first component's area, the ratio of both axes from
  the middle of the product's allowed aspects; so x and y may be off by as much as a photograph's aspect is.
- ``CLASSNUMBER`` counts the reported classes of the product from 1; 0 is "unclassified". Several photographs of a part tell
  themselves apart by ``TEST``, counted from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from math import sqrt

from opica.components import Component
from opica.messages import DecisionEvent, View
from opica.products import Product, load_product

COLUMNS = ("DEFECTID", "XREL", "YREL", "XINDEX", "YINDEX", "XSIZE", "YSIZE", "DEFECTAREA", "DSIZE", "CLASSNUMBER", "TEST")


def to_klarf(events: Iterable[DecisionEvent], now: datetime) -> Iterator[str]:
    """A file, section by section."""
    yield f"FileVersion 1 2;\nFileTimestamp {_moment(now)};\n"
    for event in events:
        yield _section(event)
    yield "EndOfFile;\n"


def _section(event: DecisionEvent) -> str:
    data = event.data
    product = load_product(data.product)
    views = (data, *data.others)
    across, down = _micrometres(product, views)
    height, width = product.input_size
    classes = {label: number for number, label in enumerate(product.reported_classes, 1)}
    rows = [
        _defect(component, classes, test, (across, down), height)
        for test, view in enumerate(views, 1)
        for component in view.components
    ]
    names = ["unclassified", *classes]
    lines = [
        'InspectionStationID "OPICA" "gateway" "1"',
        "SampleType WAFER",
        f"ResultTimestamp {_moment(event.time)}",
        f"LotID {_quoted(data.lot or '')}",
        "SampleSize 1 1",
        f"DeviceID {_quoted(data.product)}",
        f"SetupID {_quoted(data.release)} {_moment(event.time)}",
        f"StepID {_quoted(data.decision.upper())}",
        "SampleOrientationMarkType NOTCH",
        "OrientationMarkLocation DOWN",
        f"DiePitch {_length(width * across)} {_length(height * down)}",
        "DieOrigin 0.000000e+00 0.000000e+00",
        f"WaferID {_quoted(data.head_id or data.inspection_id)}",
        "Slot 1",
        "SampleCenterLocation 0.000000e+00 0.000000e+00",
        f"ClassLookup {len(names)}\n" + "\n".join(f" {number} {_quoted(name)}" for number, name in enumerate(names)),
        *(line for test in range(1, len(views) + 1) for line in (f"InspectionTest {test}", "SampleTestPlan 1\n 0 0")),
        f"AreaPerTest {_length(width * across * height * down)}",
        f"DefectRecordSpec {len(COLUMNS)} {' '.join(COLUMNS)}",
        "\n ".join(["DefectList", *(f"{number} {row}" for number, row in enumerate(rows, 1))]),
        "SummarySpec 5 TESTNO NDEFECT DEFDENSITY NDIE NDEFDIE",
        "\n ".join(["SummaryList", *_summary(views, width * across * height * down)]),
    ]
    return "".join(f"{line};\n" for line in lines)


def _defect(
    component: Component, classes: dict[str, int], test: int, micrometres: tuple[float, float], mask_height: int
) -> str:
    left, top, width, height = component.box
    across, down = micrometres
    middle = ((left + width / 2) * across, (mask_height - top - height / 2) * down)
    sizes = (width * across, height * down, component.area_um2, component.length_um)
    where = " ".join(map(_length, middle))
    return f"{where} 0 0 {' '.join(map(_length, sizes))} {classes.get(component.label, 0)} {test}"


def _summary(views: Iterable[View], area: float) -> Iterator[str]:
    for test, view in enumerate(views, 1):
        found = len(view.components)
        yield f"{test} {found} {_length(found / (area * 1e-8))} 1 {int(found > 0)}"  # density a square centimetre


def _micrometres(product: Product, views: Iterable[View]) -> tuple[float, float]:
    """Micrometres per mask pixel along x and y."""
    height, width = product.input_size
    aspect = sum(product.aspect) / 2
    pixel = next((c.area_um2 / c.area_px for view in views for c in view.components if c.area_px), None)
    if pixel is None:  # nothing was found, so nothing lies anywhere: as if the mask had the photograph's size
        return product.micrometres_per_pixel, product.micrometres_per_pixel * width / (aspect * height)
    across = sqrt(pixel * aspect * height / width)
    return across, pixel / across


def _length(value: float) -> str:
    return f"{value:.6e}"


def _moment(moment: datetime) -> str:
    return moment.strftime("%m-%d-%y %H:%M:%S")


def _quoted(text: str) -> str:
    """KLARF knows no escapes: a quote becomes an apostrophe, a semicolon, which ends a record, a comma."""
    return '"' + text.replace('"', "'").replace(";", ",") + '"'
