"""What queries ask for, as the tests of rules and dashboards read it."""

import pytest
from promql import metric, selectors


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("up", {"up"}),
        ('max by (job) (up{job=~"a|b"}) == 0', {'up{job=~"a|b"}'}),
        ("rate(a_total[$__rate_interval]) / 1e6", {"a_total"}),
        ('x{product=~"$product"} or on () vector(0)', {'x{product=~".+"}'}),
        ("a unless on (instance) b == 1", {"a", "b"}),
        ("a / on () group_left () sum(increase(b[1h]))", {"a", "b"}),
        ("deriv(sum(a)[15m:1m]) > 0", {"a"}),
        ("avg_over_time(opica:rejected:ratio1h[1d] offset 1h)", {"opica:rejected:ratio1h"}),
        ("histogram_quantile(0.99, sum by (stage, le) (rate(s_bucket[5m])))", {"s_bucket"}),
    ],
)
def test_metrics_are_told_from_functions_labels_and_words(query, asked):
    assert selectors(query) == asked


def test_a_metric_is_named_without_its_matchers():
    assert metric('up{job="bridge"}') == "up"
