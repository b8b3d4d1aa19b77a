"""The real browser for tests of any folder: Chromium from Debian's package."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from deploy.local.apt import find_or_install, program
from deploy.local.settings import ROOT
from opica.errors import ConfigurationError


@pytest.fixture(scope="session")
def browser_parts() -> None:
    """What pages load from npm's packages is there."""
    if (ROOT / "gateway/static/vendor/.done").is_file():
        return
    missing = "the browser parts are not installed: sh deploy/local/browser-parts.sh"
    if os.environ.get("CI"):
        raise ConfigurationError(missing)
    pytest.skip(missing)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's own, or CHROMIUM. While it is open no test of its module can have an event loop of its own."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser")
    try:
        found = find_or_install(lambda: program(*names), "chromium", print)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
