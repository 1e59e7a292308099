"""TensorFlow by its C API: found, loaded once, its errors as ours."""

import os
import subprocess
import sys

import pytest

from modelport.errors import InvalidArgument, NotFound
from modelport_serving.servables.tensorflow_runtime import Output, api, config_proto, is_there


def test_the_library_is_loaded_once():
    assert is_there()
    assert api() is api()
    assert api().Version().decode().startswith("2.")


def test_what_a_status_says_is_raised_with_its_code_and_text():
    options = api().NewSessionOptions()
    try:
        with pytest.raises(InvalidArgument, match="Unparseable"), api().status() as status:
            api().SetConfig(options, b"\xff\xff", 2, status)
        with api().status() as status:
            api().SetConfig(options, b"", 0, status)
    finally:
        api().DeleteSessionOptions(options)


def test_an_error_inside_is_not_hidden_by_a_status_that_is_ok():
    with pytest.raises(NotFound, match="inner"), api().status():
        raise NotFound("inner")


def test_the_output_of_an_operation_is_laid_out_as_tensorflow_wants_it():
    assert (Output.oper.offset, Output.index.offset) == (0, 8)


def test_a_text_config(tmp_path):
    from tensorflow.core.protobuf.config_pb2 import ConfigProto

    text = "intra_op_parallelism_threads: 3 graph_options { infer_shapes: true }"
    assert ConfigProto.FromString(config_proto(text, "file")).intra_op_parallelism_threads == 3
    with pytest.raises(InvalidArgument, match=r"Invalid protobuf file: 'here\.pbtxt'; at line:column 1:1"):
        config_proto("nonsense: 1", "here.pbtxt")


def test_the_log_of_tensorflow_is_left_to_who_sets_it():
    """Notes on CPU features at each start are nobody's business; who asks for them gets them."""
    code = "import os; from modelport_serving.servables.tensorflow_runtime import api; api(); print(os.environ['{0}'])"
    variable = "TF_CPP_MIN_LOG_LEVEL"
    for given, expected in ((None, "2"), ("0", "0")):
        environment = {name: value for name, value in os.environ.items() if name != variable}
        if given:
            environment[variable] = given
        result = subprocess.run(
            [sys.executable, "-c", code.format(variable)], capture_output=True, text=True, timeout=60, env=environment
        )
        assert result.stdout.strip() == expected, result.stderr
