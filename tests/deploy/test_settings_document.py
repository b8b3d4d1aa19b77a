"""docs/settings.md against the settings' own descriptions."""

from bridge.operation.settings import describe as bridge
from deploy.local.settings import ROOT
from gateway.record.settings import Settings as Recorder
from gateway.settings import Settings as Gateway


def test_the_document_is_what_the_parts_say():
    tables = {"bridge": bridge(), "gateway": Gateway.describe(), "recorder, beside the gateway's": Recorder.describe()}
    wanted = "# Settings\n\nEnvironment variables, by part; "
    wanted += "`python -m bridge settings` and `python -m gateway settings` print them.\n"
    wanted += "".join(f"\n## {part.capitalize()}\n\n{text}\n" for part, text in tables.items())
    document = ROOT / "docs/settings.md"

    assert document.read_text() == wanted, f"write it anew:\n{wanted}"
