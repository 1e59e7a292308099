"""The page of Prometheus, of the real server and of ours, and what comes of it."""

import math

import pytest

from modelport_console.watching import prometheus_page
from modelport_console.watching.prometheus_page import Totals
from modelport_console.watching.traffic import KEPT_S, Interval, Traffic, difference, figures, percentile, together

# As tensorflow_model_server 2.21 writes it, cut to what is looked at and some that is not.
REAL = """# TYPE :tensorflow:serving:request_count counter
:tensorflow:serving:request_count{model_name="digits",status="OK"} 12
:tensorflow:serving:request_count{model_name="digits",status="INVALID_ARGUMENT"} 3
:tensorflow:serving:request_count{model_name="a\\"b\\\\c",status="NOT_FOUND"} 1
# TYPE :tensorflow:serving:request_latency histogram
:tensorflow:serving:request_latency_bucket{model_name="digits",API="Predict",entrypoint="GRPC",le="1000"} 4
:tensorflow:serving:request_latency_bucket{model_name="digits",API="Predict",entrypoint="GRPC",le="1800"} 8
:tensorflow:serving:request_latency_bucket{model_name="digits",API="Predict",entrypoint="GRPC",le="+Inf"} 9
:tensorflow:serving:request_latency_sum{model_name="digits",API="Predict",entrypoint="GRPC"} 12345
:tensorflow:serving:request_latency_count{model_name="digits",API="Predict",entrypoint="GRPC"} 9
:tensorflow:serving:request_latency_bucket{model_name="digits",API="predict",entrypoint="REST",le="1000"} 0
:tensorflow:serving:request_latency_bucket{model_name="digits",API="predict",entrypoint="REST",le="1800"} 1
:tensorflow:serving:request_latency_bucket{model_name="digits",API="predict",entrypoint="REST",le="+Inf"} 1
:tensorflow:serving:request_latency_bucket{model_name="digits",API="",entrypoint="REST",le="+Inf"} 2
:tensorflow:serving:request_log_count{model_name="digits",status_code="OK"} 7
"""


def test_the_real_servers_page_is_read():
    found = prometheus_page.read(REAL)
    assert (found["digits"].answered, found["digits"].failed) == (10, 3)  # questions for a status are no predictions
    assert found["digits"].below == {1000: 4, 1800: 9, math.inf: 10}
    assert (found['a"b\\c'].answered, found['a"b\\c'].failed) == (0, 1)


def test_our_page_is_read(embedded):
    import urllib3

    from modelport_client import Client

    with Client(embedded.grpc_address) as client, Client(embedded.rest_address) as over_rest:
        for one in (client, over_rest):
            for _ in range(3):
                one.predict("affine", {"x": [1.0]}, signature="serving_default")
            one.status("affine")
    page = urllib3.request("GET", f"{embedded.rest_address}/monitoring/prometheus/metrics").data.decode()
    found = prometheus_page.read(page)
    assert found["affine"].answered >= 6
    assert found["affine"].failed == 0


def test_what_came_in_between_two_looks():
    before = Totals(1, {1000: 4, 1800: 8, math.inf: 8})
    after = Totals(3, {1000: 5, 1800: 12, math.inf: 13})
    assert difference(before, after) == (5, 2, {(0, 1000): 1, (1000, 1800): 3, (1800, math.inf): 1})
    assert difference(after, Totals(0, {1000: 2, math.inf: 2})) == (2, 0, {(0, 1000): 2})  # a server that began anew
    assert difference(None, Totals(0, {1000: 2, math.inf: 2}))[0] == 2


def test_several_servers_are_one():
    one = together(10, 2, [(4, 1, {(0, 1000): 4}), (6, 0, {(0, 1000): 2, (1000, 1800): 4})])
    assert one == Interval(10, 2, 10, 1, (((0, 1000), 6), ((1000, 1800), 4)))
    told = figures([one])
    assert (told.per_second, told.failed_share, told.requests) == (5.5, 1 / 11, 11)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 1.0), (0.25, 0.5), (0.75, 1.4), (1.0, 1.8)])
def test_percentiles_are_those_of_prometheus(share, expected):
    assert percentile([((0, 1000), 10), ((1000, 1800), 10)], share) == pytest.approx(expected)


def test_nothing_is_known_of_nothing():
    assert percentile([], 0.99) is None
    assert percentile([((1000, math.inf), 1)], 0.99) == 1.0
    assert figures([]).per_second is None
    assert figures([Interval(1, 2, 0, 0, ())]).per_second == 0


def test_what_is_old_is_forgotten():
    seen = Traffic()
    for second in range(0, 100_000, 2):
        seen.add(Interval(second, 2, 2, 0, (((0, 1000), 2),)))
    assert len(seen._intervals) <= KEPT_S / 2 + 1
    points = seen.points(100_000, 10, 30)
    assert len(points) == 30
    assert {one.per_second for one in points} == {1}
    assert seen.between(0, 90_000).per_second is None


def test_looks_that_are_far_apart_leave_no_gap():
    seen = Traffic()
    for second in range(0, 301, 15):
        seen.add(Interval(second, 15, 30, 0, (((0, 1000), 30),)))
    assert [one.per_second for one in seen.points(300, 10, 30)] == [2] * 30
    seen = Traffic()
    seen.add(Interval(10, 10, 10, 0, ()))
    assert [one.per_second for one in seen.points(30, 10, 3)] == [1, None, None]
