"""What PromQL asks for, read off its text: enough for our own rules and dashboards."""

import re

QUERY_WORDS = {
    "and",
    "or",
    "unless",
    "offset",
    "bool",
    "by",
    "on",
    "without",
    "ignoring",
    "group_left",
    "group_right",
    "inf",
    "nan",
}
LABELS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
SELECTOR = re.compile(r"\b[a-zA-Z_:][\w:]*(?:\{[^}]*\})?(?!\s*\(|[\w:])")


def selectors(query: str) -> set[str]:
    """Metrics with their matchers: ``up{job="bridge"}``."""
    plain = LABELS.sub(" ", query.replace("$__rate_interval", "1m").replace("$product", ".+"))
    plain = re.sub(r"\[[^]]*\]", " ", plain)  # ranges
    return {found for found in SELECTOR.findall(plain) if found not in QUERY_WORDS}


def metric(selector: str) -> str:
    return selector.partition("{")[0]
