import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opica.errors import ConfigurationError, ForbiddenPath
from opica.sources.hosts import AllowedHosts

ALLOWED = AllowedHosts(
    ["cam.factory.test", "*.line.test", "tls.test:8443", "http://old.test", "http://older.test:8080", "[fd00::5]", "10.1.2.3"]
)


@pytest.mark.parametrize(
    "url",
    [
        "https://cam.factory.test",
        "https://cam.factory.test/a/part.png?lot=7#top",
        "https://cam.factory.test:443/part.png",
        "HTTPS://CAM.Factory.Test/part.png",
        "https://a.line.test/part.png",
        "https://a.b.line.test/part.png",
        "https://tls.test:8443/part.png",
        "http://old.test/part.png",
        "http://older.test:8080/part.png",
        "https://[fd00::5]/part.png",
        "https://[FD00:0::5]/part.png",
        "https://10.1.2.3/part.png",
    ],
)
def test_a_url_of_an_allowed_host_is_let_through(url):
    assert ALLOWED.check(url) == httpx.URL(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://cam.factory.test:8443/",
        "https://cam.factory.test:80/",
        "https://cam.factory.test./",
        "https://cam.factory.test.evil.test/",
        "https://xcam.factory.test/",
        "https://factory.test/",
        "https://line.test/",
        "https://.line.test/",
        "https://a..line.test/",
        "https://xline.test/",
        "https://a%2eline.test/",
        "https://a line.test/",
        f"https://{'a' * 64}.line.test/",
        "https://tls.test/",
        "https://[fd00::6]/",
        "https://[fd00::5%25eth0]/",
        "https://10.1.2.4/",
        "https://167838211/",  # 10.1.2.3 as one number
        "https:///part.png",
        "https:part.png",
        "https://",
        "http://cam.factory.test/",
        "http://a.line.test/",
        "https://old.test/",
        "http://old.test:8080/",
        "http://older.test/",
        "ftp://cam.factory.test/",
        "wss://cam.factory.test/",
        "//cam.factory.test/",
        "cam.factory.test",
        "",
    ],
)
def test_another_host_port_or_scheme_is_refused_and_the_allowed_are_named(url):
    with pytest.raises(ForbiddenPath, match=r"allowed: cam\.factory\.test, \*\.line\.test"):
        ALLOWED.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://cam.factory.test:x/",
        "https://cam.factory.test:44\u0660\n/",
        "https://[fd00::5/",
        "https://[fd00::5]x/",
        "https://1.2.3.4.5.999/\t",
        "https://999.1.1.1/",
        "https://\ud800.test/",
        "https://" + "x" * 70_000,
    ],
)
def test_what_is_no_url_is_refused_as_such(url):
    with pytest.raises(ForbiddenPath) as refused:
        ALLOWED.check(url)

    assert "is no URL" in str(refused.value)
    assert refused.value.__cause__ is None  # the parser's words may hold a password


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@cam.factory.test/part.png",
        "https://secret@cam.factory.test/part.png",
        "https://cam.factory.test\\secret@evil.test/part.png",
        "https://:secret@cam.factory.test/",
    ],
)
def test_a_user_name_is_refused_and_not_repeated(url):
    with pytest.raises(ForbiddenPath, match="it holds a user name") as refused:
        ALLOWED.check(url)

    assert "secret" not in str(refused.value)


def test_a_query_is_not_repeated():
    with pytest.raises(ForbiddenPath, match="'https://evil.test/part.png'[?]…") as refused:
        ALLOWED.check("https://evil.test/part.png?sig=secret#secret")

    assert "secret" not in str(refused.value)


def test_a_redirect_is_read_relative_to_its_page():
    base = ALLOWED.check("https://cam.factory.test/lot/part.png?7")

    assert ALLOWED.check("other.png", base) == httpx.URL("https://cam.factory.test/lot/other.png")
    assert ALLOWED.check("//a.line.test/x", base) == httpx.URL("https://a.line.test/x")
    with pytest.raises(ForbiddenPath, match="evil.test"):
        ALLOWED.check("//evil.test/x", base)


def test_a_redirect_may_take_up_tls_but_not_give_it_up():
    secure, plain = ALLOWED.check("https://cam.factory.test/"), ALLOWED.check("http://old.test/")

    assert ALLOWED.check("https://cam.factory.test/x", plain).scheme == "https"
    assert ALLOWED.check("http://older.test:8080/x", plain).scheme == "http"
    with pytest.raises(ForbiddenPath, match="not https"):
        ALLOWED.check("http://old.test/x", secure)


@pytest.mark.parametrize(
    "pattern",
    ["", "*", "*.", "https://", "a.test/path", "me@a.test", "a.test:0", "a.test:65536", "a.test:x", "ftp://a.test"]
    + ["*.*.test", "a*.test", "*.10.1.2.3.", "a.test?x", "a test", "[fd00::5", "999.1.1.1", ".a.test", "a..test"],
)
def test_a_pattern_that_is_none_is_named(pattern):
    with pytest.raises(ConfigurationError) as wrong:
        AllowedHosts(["good.test", pattern])

    assert repr(pattern) in str(wrong.value)
    assert "good.test" not in str(wrong.value)


def test_without_patterns_nothing_is_allowed():
    with pytest.raises(ForbiddenPath, match="allowed: none"):
        AllowedHosts([]).check("https://cam.factory.test/")


@settings(deadline=None)
@given(st.text() | st.text(alphabet="htps:/\\@[]%.?#cam.factory.test:0189\t\n \ud800ü"))
@example("https://[")
def test_of_arbitrary_text_only_allowed_hosts_pass(text):
    for url in (text, f"https://{text}", f"https://cam.factory.test{text}"):
        for base in (None, httpx.URL("https://cam.factory.test/")):
            try:
                found = ALLOWED.check(url, base)
            except ForbiddenPath as refused:
                str(refused).encode()
                continue
            assert (found.scheme, found.userinfo) == ("https", b"")
            assert found.host in ("cam.factory.test", "fd00::5", "10.1.2.3") or found.host.endswith(".line.test")
