"""What changes something, or follows from chance, is no function of the rows."""

import pytest
import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef

from modelport_export.proof.independence import effects


def test_a_variable_that_is_written_is_refused(object_to):
    """Its answers would follow from how often the model was asked."""
    calls = tf.Variable(0.0)

    def counted(x):
        calls.assign_add(1.0)
        return x * 2.0

    assert "AssignAddVariableOp" in object_to(counted, [None, 3], held=[calls])
    assert "AssignAddVariableOp" in object_to(lambda x: counted(x) + calls, [None, 3], held=[calls], folder="other")


@pytest.mark.parametrize("shape", [lambda x: (3,), tf.shape])
def test_chance_is_refused(object_to, shape):
    assert "RandomStandardNormal" in object_to(lambda x: x + tf.random.normal(shape(x)), [None, 3])


def test_an_older_variable_that_is_written_is_refused():
    """`Assign` and its kin are not stateful for TensorFlow: what they write is a reference."""
    with tf.Graph().as_default() as graph:
        variable = tf.compat.v1.get_variable("v", [], use_resource=False)
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        read = tf.identity(x + variable, "read")
        with tf.control_dependencies([variable.assign_add(1.0)]):
            tf.identity(x * 2.0, "written")
    graph_def = graph.as_graph_def()
    assert effects.find(graph_def, ["x:0"], [read.name]) is None
    assert effects.find(graph_def, ["x:0"], ["written:0"]).operation == "AssignAdd"


def test_an_unknown_operation_is_refused():
    graph_def = GraphDef()
    graph_def.node.add(name="x", op="Placeholder")
    graph_def.node.add(name="y", op="SomebodysOwnOperation", input=["x"])
    assert effects.find(graph_def, ["x:0"], ["y:0"]).operation == "SomebodysOwnOperation"


def test_what_lies_before_the_inputs_plays_no_part():
    graph_def = GraphDef()
    graph_def.node.add(name="queue", op="SomebodysOwnQueue")
    graph_def.node.add(name="y", op="Identity", input=["queue:1"])
    assert effects.find(graph_def, ["queue:1"], ["y:0"]) is None
    assert effects.find(graph_def, ["queue:0"], ["y:0"]).node == "queue"
