"""Counters and histograms as Prometheus reads them."""

from modelport_serving.monitoring.prometheus_text import Counter, Histogram


def test_counters_and_histograms():
    counter = Counter("c", ("name",))
    counter.add('a"\\\n')
    counter.add('a"\\\n', by=2)
    assert counter.text() == '# TYPE c counter\nc{name="a\\"\\\\\\n"} 3\n'
    histogram = Histogram("h", (), [1, 2.5])
    for value in (1, 2, 99):
        histogram.observe(value)
    assert histogram.text().splitlines()[1:] == [
        'h_bucket{le="1"} 1',
        'h_bucket{le="2.5"} 2',
        'h_bucket{le="+Inf"} 3',
        "h_sum{} 102",
        "h_count{} 3",
    ]


def test_clients_cannot_make_metrics_grow_without_end():
    counter = Counter("c", ("name",))
    for number in range(5000):
        counter.add(str(number))
    assert len(counter.text().splitlines()) < 1100
    assert 'c{name="other"} 4000' in counter.text()
