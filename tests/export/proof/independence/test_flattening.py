"""What a signature computes is found behind calls of any kind, and a graph that cannot be followed says so."""

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework.graph_pb2 import GraphDef

from modelport_export.proof.independence.flattening import Leaf, flatten_graph

FEEDS = {"x:0": Leaf(tf.float32, [None, 3])}
SPLIT = """
library { function {
  signature {
    name: "halves" input_arg { name: "a" type: DT_FLOAT } output_arg { name: "left" type: DT_FLOAT }
    output_arg { name: "right" type: DT_FLOAT }
  }
  node_def { name: "axis" op: "Const" attr { key: "dtype" value { type: DT_INT32 } }
    attr { key: "value" value { tensor { dtype: DT_INT32 tensor_shape {} int_val: 1 } } } }
  node_def { name: "parts" op: "Split" input: "axis:output:0" input: "a"
    attr { key: "T" value { type: DT_FLOAT } } attr { key: "num_split" value { i: 3 } } }
  ret { key: "left" value: "parts:output:0" } ret { key: "right" value: "parts:output:2" }
} }
"""


def graph(text):
    return text_format.Parse('node { name: "x" op: "Placeholder" }' + text, GraphDef())


@pytest.mark.parametrize(
    "call",
    [
        'node { name: "c" op: "halves" input: "x" }',
        """node { name: "c" op: "PartitionedCall" input: "x" attr { key: "f" value { func { name: "halves" } } }
        attr { key: "Tin" value { list { type: DT_FLOAT } } }
        attr { key: "Tout" value { list { type: DT_FLOAT type: DT_FLOAT } } } }""",
    ],
)
def test_bodies_stand_in_place_of_calls(call):
    flat = flatten_graph(graph(SPLIT + call), FEEDS, ["c:1", "x:0"])
    assert [result.op.type for result in flat.results] == ["Split", "Placeholder"]
    assert flat.results[0].value_index == 2
    assert flat.results[0].shape.as_list() == [None, 1]


def test_a_function_that_calls_itself_is_refused():
    """Else the publisher would end with a RecursionError."""
    library = """library { function {
      signature { name: "f" input_arg { name: "a" type: DT_FLOAT } output_arg { name: "y" type: DT_FLOAT } }
      node_def { name: "again" op: "f" input: "a" } ret { key: "y" value: "again:y:0" } } }"""
    with pytest.raises(ValueError, match="'f' calls itself"):
        flatten_graph(graph(library + 'node { name: "c" op: "f" input: "x" }'), FEEDS, ["c:0"])


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match="no node 'y'"):
        flatten_graph(graph(""), FEEDS, ["y:0"])
    call = 'node { name: "c" op: "PartitionedCall" input: "x" attr { key: "f" value { func { name: "gone" } } } }'
    with pytest.raises(ValueError, match="function 'gone' is not"):
        flatten_graph(graph(call), FEEDS, ["c:0"])


def test_what_tables_give_has_the_shape_of_the_keys(tmp_path):
    """TensorFlow does not say, and all that follows from it would be unknown."""
    with tf.Graph().as_default() as made:
        x = tf.compat.v1.placeholder(tf.string, [None, 3], "x")
        keys = tf.lookup.KeyValueTensorInitializer(["a"], tf.constant(["b"]))
        once = tf.lookup.StaticHashTable(keys, "?").lookup(x)
        twice = tf.lookup.StaticHashTable(keys, "?").lookup(once)
    flat = flatten_graph(made.as_graph_def(), {"x:0": Leaf(tf.string, [None, 3])}, [twice.name])
    assert flat.results[0].shape.as_list() == [None, 3]
