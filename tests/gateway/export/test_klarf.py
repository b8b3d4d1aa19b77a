import re
from datetime import UTC, datetime

import pytest

from gateway.export.klarf import to_klarf

NOW = datetime(2026, 11, 24, 6, 7, 8, tzinfo=UTC)


def records(text: str) -> list[tuple[str, str]]:
    """Name and content of each record, as a reader of KLARF takes them: up to a semicolon."""
    parts = [part.strip() for part in text.split(";")]
    assert parts.pop() == ""
    return [(name, rest.strip()) for name, _, rest in (re.sub(r"\s+", " ", part).partition(" ") for part in parts)]


@pytest.fixture
def written(inspected):
    """The file of one part, and its records by name."""

    def of(**given) -> tuple[str, dict[str, str]]:
        text = "".join(to_klarf(inspected(1, **given), NOW))
        return text, dict(records(text))

    return of


def test_a_file_has_its_records_in_order(written):
    text, _ = written()

    assert [name for name, _ in records(text)] == [
        "FileVersion",
        "FileTimestamp",
        "InspectionStationID",
        "SampleType",
        "ResultTimestamp",
        "LotID",
        "SampleSize",
        "DeviceID",
        "SetupID",
        "StepID",
        "SampleOrientationMarkType",
        "OrientationMarkLocation",
        "DiePitch",
        "DieOrigin",
        "WaferID",
        "Slot",
        "SampleCenterLocation",
        "ClassLookup",
        "InspectionTest",
        "SampleTestPlan",
        "AreaPerTest",
        "DefectRecordSpec",
        "DefectList",
        "SummarySpec",
        "SummaryList",
        "EndOfFile",
    ]


def test_it_tells_what_was_inspected_and_when(written):
    _, found = written(head_id="H-7", lot="L-1")

    assert (found["FileVersion"], found["FileTimestamp"]) == ("1 2", "11-24-26 06:07:08")
    assert found["ResultTimestamp"].startswith("11-23-26 12:00:")
    assert (found["LotID"], found["WaferID"], found["DeviceID"]) == ('"L-1"', '"H-7"', '"te_head"')
    assert found["StepID"] == '"REJECT"'


def test_a_component_is_a_defect_in_micrometres_from_the_lower_left(written):
    _, found = written()

    count, *names = found["DefectRecordSpec"].split()
    defect = dict(zip(names, map(float, found["DefectList"].split()), strict=True))
    # the photograph is 324x100 at 0.5 micrometres a pixel; the mask's 224x896 has columns 400 to 439, rows 130 to 139
    assert int(count) == len(names)
    assert defect["XREL"] == pytest.approx(420 / 896 * 162, rel=0.01)
    assert defect["YREL"] == pytest.approx((224 - 135) / 224 * 50, rel=0.01)
    assert defect["XSIZE"] == pytest.approx(40 / 896 * 162, rel=0.01)
    assert defect["YSIZE"] == pytest.approx(10 / 224 * 50, rel=0.01)
    assert (defect["XINDEX"], defect["YINDEX"], defect["TEST"]) == (0, 0, 1)
    assert defect["DEFECTAREA"] == pytest.approx(16.142, rel=1e-3)
    assert f' {int(defect["CLASSNUMBER"])} "Contam"' in f" {found['ClassLookup']}"
    assert [float(size) for size in found["DiePitch"].split()] == pytest.approx([162, 50], rel=0.01)


def test_the_summary_counts_the_defects(written):
    _, found = written()

    test, defects, density, dies, bad = found["SummaryList"].split()
    assert (test, defects, dies, bad) == ("1", "1", "1", "1")
    assert float(density) == pytest.approx(1 / (162 * 50 * 1e-8), rel=1e-3)


def test_a_part_without_defects_has_an_empty_list(written, inspector):
    inspector.mask[:] = 0

    _, found = written()

    assert (found["DefectList"], found["SummaryList"]) == ("", "1 0 0.000000e+00 1 0")


def test_every_part_has_a_section(inspected):
    text = "".join(to_klarf(inspected(3), NOW))

    names = [name for name, _ in records(text)]
    assert (names.count("WaferID"), names.count("DefectList"), names.count("EndOfFile")) == (3, 3, 1)


def test_a_label_cannot_end_a_record(written):
    text, found = written(lot='L";EndOfFile;"', head_id="H;7")

    assert (found["LotID"], found["WaferID"]) == ("\"L',EndOfFile,'\"", '"H,7"')
    assert text.count("EndOfFile;") == 1
