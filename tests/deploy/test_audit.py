"""What pip-audit says of the pins, read: what it could not look up is no good news."""

from deploy.local.audit import read


def dependency(name, **facts):
    return {"name": name, "version": "1.0", "vulns": [], **facts}


def test_pins_of_which_nothing_is_known_against_are_clean():
    findings = read({"dependencies": [dependency("numpy"), dependency("pika")]})

    assert (findings.line(), findings.status) == ("audit: clean=2 vulnerable=0 unknown=0", 0)


def test_a_vulnerable_pin_is_told_with_its_names_and_what_mends_it():
    flaw = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"]}
    findings = read({"dependencies": [dependency("pika", vulns=[flaw])]})

    assert findings.vulnerable == ("pika 1.0: PYSEC-2026-1/CVE-2026-1, mended in 1.1",)
    assert findings.status == 1


def test_a_pin_that_nobody_could_look_up_fails_the_audit():
    skipped = {"name": "numpy", "skip_reason": "Dependency not found on PyPI"}

    assert read({"dependencies": [skipped, dependency("pika")]}).status == 2
    assert read({"dependencies": []}).status == 2
