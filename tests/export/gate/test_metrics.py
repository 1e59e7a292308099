"""Metrics that trainings measured: which way is better, and what is worse than that of the live version."""

import keras
import pytest

from modelport.errors import InvalidArgument
from modelport_export.gate import metric_directions, quality
from modelport_export.gate.bounds import Gate
from modelport_export.naming import snake_case


def test_the_direction_of_every_metric_of_keras_is_known():
    """A metric that a later Keras adds has to be looked at by a person."""
    bases = (keras.metrics.Mean, keras.metrics.MeanMetricWrapper, keras.metrics.Metric, keras.metrics.Sum)
    known = vars(keras.metrics).values()
    classes = [c for c in known if isinstance(c, type) and issubclass(c, keras.metrics.Metric) and c not in bases]
    assert len(classes) > 30
    unknown = {snake_case(c.__name__) for c in classes if metric_directions.of(snake_case(c.__name__)) is None}
    assert unknown <= {"mean_metric_wrapper"}


def test_a_metric_is_known_by_its_whole_name():
    known = {"false_positives": "min", "hinge": "min", "accuracy": "max", "val_loss": "min", "digits_accuracy": "max"}
    assert {name: metric_directions.of(name, ["digits"]) for name in known} == known
    for name in ("my_loss_free_score", "lossless", "inaccuracy", "words_accuracy", "profit"):
        assert metric_directions.of(name, ["digits"]) is None


def outcomes(gate, table):
    return [check.outcome for check in quality.hold_regressions(gate, table)]


def test_a_metric_of_unknown_direction_is_not_guessed():
    for told, outcome in (({"profit": "max"}, "passed"), ({"profit": "min"}, "refused")):
        table = quality.compare_metrics({"profit": 2.0}, {"profit": 1.0}, (), told)
        assert outcomes(Gate(max_regression=0.5, metric_directions=told), table) == [outcome]
    table = quality.compare_metrics({"profit": 2.0}, {"profit": 1.0})
    with pytest.raises(InvalidArgument, match="profit=min or profit=max"):
        outcomes(Gate(max_regression=0.5), table)
    assert outcomes(Gate(), table) == []


def test_metrics_are_compared_by_what_is_better():
    table = quality.compare_metrics({"accuracy": 0.9, "val_loss": 0.3, "new": 1.0}, {"accuracy": 0.95, "val_loss": 0.2})
    assert {name: round(row["regression"], 6) for name, row in table.items()} == {"accuracy": 0.05, "val_loss": 0.1}
    assert outcomes(Gate(max_regression=0.06), table) == ["passed", "refused"]


@pytest.mark.parametrize(
    ("served", "trained", "outcome", "where"),
    [
        ({"accuracy": 0.96}, {"accuracy": 0.9}, "passed", "as served"),
        ({"accuracy": 0.94}, {"accuracy": 0.99}, "refused", "as served"),
        ({}, {"accuracy": 0.99}, "passed", "as the training measured it"),
        ({"accuracy": float("nan")}, {}, "refused", "nan"),
    ],
)
def test_a_floor_holds_for_what_is_served(served, trained, outcome, where):
    [check] = quality.hold(Gate(min={"accuracy": 0.95}), served, trained)
    assert check.outcome == outcome
    assert where in check.sentence


def test_a_floor_for_a_metric_that_is_not_there_is_no_floor_but_an_error():
    with pytest.raises(InvalidArgument, match="Did you mean 'accuracy'"):
        list(quality.hold(Gate(min={"acuracy": 0.9}), {"accuracy": 0.9}, {}))
