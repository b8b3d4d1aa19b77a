"""A gage study's report on paper: A4, the fonts that every reader of PDF has, so Latin-1 text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace
from PIL import Image

from gateway.accuracy.study import Report
from gateway.web import percent
from opica.agreement import Kappa, Rate
from opica.gage import LIMITS
from opica.images import to_rgb

LINE = "\n"
PICTURE_WIDTH = 900  # pixels; 150 to the inch over the page
HEAD = FontFace(emphasis="BOLD", fill_color=(232, 237, 242))
COLOURS = {"acceptable": (26, 127, 69), "marginal": (154, 91, 0), "unacceptable": (194, 47, 47), "not judged": (90, 104, 117)}


def shrink(photograph: bytes) -> bytes:
    """A photograph as JPEG, as wide as a report wants it. Raises: OSError: it is none."""
    with Image.open(io.BytesIO(photograph)) as image:
        small = to_rgb(image)
    small.thumbnail((PICTURE_WIDTH, PICTURE_WIDTH))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def report_pdf(report: Report, title: str, pictures: Mapping[str, bytes]) -> bytes:
    """The whole report.

    Args:
        title: the product's.
        pictures: JPEG by inspection id, for disputed parts; those that are no longer kept are absent.
    """
    page = _Page(report)
    study, analysis = report.study, report.analysis
    page.text_line("Attribute gage study", size=18, bold=True)
    page.text_line(study.name, size=13)
    page.text_line(
        f"{title} ({study.product}) - {study.parts} parts ({study.good} good, {study.parts - study.good} bad by the "
        f"reference), {study.trials} trial(s), blind, in a random order for each appraiser and trial"
    )
    closed = study.closed.strftime("%Y-%m-%d %H:%M UTC") if study.closed else "open"
    page.text_line(f"Created {study.created:%Y-%m-%d %H:%M UTC} by {study.who}, closed {closed}")
    if report.unfinished:
        page.text_line(f"Left out, not finished: {', '.join(report.unfinished)}")
    page.ln(3)
    for who, verdict in (("People", analysis.verdict), *([("Model", report.model.verdict)] if report.model else [])):
        page.set_text_color(*COLOURS[verdict])
        page.text_line(f"{who}: {verdict}", size=14, bold=True)
    page.set_text_color(0)

    page.heading("Appraisers")
    page.rows(
        ["Appraiser", "Effectiveness", "Miss rate", "False alarms", "AG", "Kappa vs reference", "Within (kappa)", "Verdict"],
        [
            [a.name, *(_rate(r, LINE) for r in (a.effectiveness, a.miss, a.false_alarm, a.gage)), _kappa(a.kappa, LINE)]
            + [f"{_rate(a.within, LINE)} ({_kappa(a.within_kappa)})" if a.within.n else "one trial", a.verdict]
            for a in (*analysis.appraisers, *([report.model] if report.model else []))
        ],
        (20, 19, 19, 19, 19, 20, 20, 18),
    )
    good, fair = ([f"{limits[i]:.0%}" for limits in LIMITS.values()] for i in (0, 1))
    page.text_line(
        f"Limits (AIAG MSA, 4th edition): acceptable from {good[0]} effectiveness, up to {good[1]} misses and {good[2]} "
        f"false alarms; marginal from {fair[0]}, up to {fair[1]} and {fair[2]}. "
        "In brackets: Wilson intervals at 95 %, in percent. "
        "Effectiveness counts parts on which every trial is right; misses are bad parts accepted, false alarms good parts "
        "rejected, per decision.",
        size=8,
    )
    page.heading("Agreement")
    page.rows(
        ["What", "Value"],
        [
            ["Between appraisers (people): parts on which all agree in every trial", _rate(analysis.between)],
            ["People against the reference: parts on which all are right in every trial", _rate(analysis.all_right)],
            ["Fleiss' kappa of people, every trial of each", _kappa(analysis.fleiss)],
            *(
                [f"Cohen's kappa, {pair.one} and {pair.other}", _kappa(pair.kappa)]
                for pair in (*analysis.pairs, *report.model_pairs)
            ),
        ],
        (70, 30),
    )
    page.text_line("Kappa above 0.75 is good to excellent agreement, below 0.40 poor (AIAG).", size=8)

    page.heading(f"Parts judged differently: {len(report.disputed)} of {study.parts}")
    for part in report.disputed:
        page.part(
            f"Part {part.number}: {part.inspection_id}",
            f"Reference: {part.reference}. " + "; ".join(f"{name}: {', '.join(said)}" for name, said in part.said.items()),
            pictures.get(part.inspection_id),
        )
    page.signatures(("Prepared by", "Appraisers", "Approved by"))
    return bytes(page.output())


class _Page(FPDF):
    """Sheets with a footer; text that Latin-1 lacks is shown as question marks."""

    def __init__(self, report: Report) -> None:
        super().__init__(format="A4")
        self.footing = _latin(f"OPICA gage study {report.study.id}: {report.study.name}")
        self.set_title(self.footing)
        self.set_creation_date(report.study.closed or report.study.created)
        self.set_margins(15, 15)
        self.set_auto_page_break(True, 18)
        self.add_page()

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font("helvetica", size=8)
        self.set_text_color(90)
        self.cell(0, 6, f"{self.footing} - page {self.page_no()} of {{nb}}", align="C")
        self.set_text_color(0)

    def text_line(self, text: str, size: float = 10, bold: bool = False) -> None:
        self.set_font("helvetica", "B" if bold else "", size)
        self.multi_cell(0, size * 0.48, _latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")
        self.ln(0.6)

    def heading(self, text: str) -> None:
        self.ln(3)
        self.text_line(text, size=12, bold=True)

    def rows(self, head: Sequence[str], rows: Sequence[Sequence[str]], widths: tuple[int, ...]) -> None:
        self.set_font("helvetica", size=8)
        with self.table(
            col_widths=widths, text_align="LEFT", line_height=4, headings_style=HEAD, borders_layout="HORIZONTAL_LINES"
        ) as table:
            for row in (head, *rows):
                table.row([_latin(cell) for cell in row])
        self.ln(1.5)

    def part(self, title: str, said: str, picture: bytes | None) -> None:
        """A disputed part; its picture stays with its words."""
        with self.unbreakable() as sheet:
            for text, size, bold in ((title, 9, True), (said, 9, False)):
                sheet.set_font("helvetica", "B" if bold else "", size)
                sheet.multi_cell(0, 4.4, _latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")
            if picture is None:
                sheet.multi_cell(0, 4.4, "Its photograph is no longer kept.", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            else:
                sheet.image(io.BytesIO(picture), w=min(120.0, sheet.epw))
            sheet.ln(3)

    def signatures(self, names: Sequence[str]) -> None:
        if self.will_page_break(32):
            self.add_page()
        self.ln(18)
        self.set_font("helvetica", size=9)
        width = self.epw / len(names)
        for i, name in enumerate(names):
            left, top = self.l_margin + i * width, self.get_y()
            self.line(left, top, left + width - 6, top)
            self.text(left, top + 5, f"{name}, date")


def _rate(rate: Rate, apart: str = " ") -> str:
    if rate.share is None or rate.low is None or rate.high is None:
        return "-"
    return f"{percent(rate.share)}{apart}[{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def _kappa(kappa: Kappa, apart: str = " ") -> str:
    if kappa.value is None:
        return "-"
    return f"{kappa.value:.3f}" + ("" if kappa.low is None else f"{apart}[{kappa.low:.2f}, {kappa.high:.2f}]")


def _latin(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
