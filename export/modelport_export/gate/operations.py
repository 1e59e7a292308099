"""The operations of a graph that reach out of it: into files, into Python, to other machines.

Only what a signature or the initialisation leads to is looked at: every SavedModel can also save and restore its
variables. The vocabularies of its tables, which lie within it, are read when it is loaded, and are no finding. The
names are TensorFlow's; source: the registered operations of TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_READS = "reads files"
_WRITES = "writes files"
_PYTHON = "calls Python"
_OTHERS = "talks to other machines"

_EFFECTS = {
    **dict.fromkeys(
        (
            *(
                "ReadFile",
                "MatchingFiles",
                "WholeFileReader",
                "WholeFileReaderV2",
                "TextLineReader",
                "TextLineReaderV2",
            ),
            *("TFRecordReader", "TFRecordReaderV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2"),
            *("TextLineDataset", "TFRecordDataset", "TFRecordDatasetV2", "FixedLengthRecordDataset"),
            *("FixedLengthRecordDatasetV2", "CSVDataset", "CSVDatasetV2", "MatchingFilesDataset", "LMDBDataset"),
            *("LMDBReader", "SqlDataset", "Restore", "RestoreV2", "RestoreSlice", "LoadDataset"),
        ),
        _READS,
    ),
    **dict.fromkeys(
        (
            *("WriteFile", "Save", "SaveV2", "SaveSlices", "MergeV2Checkpoints", "SaveDataset", "SaveDatasetV2"),
            *("WriteSummary", "WriteScalarSummary", "WriteRawProtoSummary", "WriteImageSummary", "WriteAudioSummary"),
            *("WriteGraphSummary", "WriteHistogramSummary", "CreateSummaryFileWriter", "CreateSummaryDbWriter"),
            *("DebugIdentityV2", "DebugIdentityV3"),
        ),
        _WRITES,
    ),
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc", "GeneratorDataset"), _PYTHON),
    **dict.fromkeys(
        ("RpcCall", "RpcClient", "RpcServer", "RemoteCall", "_Send", "_Recv", "DataServiceDataset"),
        _OTHERS,
    ),
}


def effects_of(meta_graph: Any) -> dict[str, str]:
    """Operation → what it does, of all that any signature leads to, and reach out of the graph."""
    return {op: _EFFECTS[op] for op in sorted(set(_operations(meta_graph))) if op in _EFFECTS}


def _operations(meta_graph: Any) -> Iterator[str]:
    graph = meta_graph.graph_def
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    infos = [info for one in meta_graph.signature_def.values() for info in one.outputs.values()]
    waiting = [nodes[name] for info in infos for name in _node_names(info) if name in nodes]
    seen, called = {node.name for node in waiting}, set[str]()
    while waiting:
        node = waiting.pop()
        yield node.op
        for source in node.input:
            name = source.removeprefix("^").partition(":")[0]
            if name in nodes and name not in seen:
                seen.add(name)
                waiting.append(nodes[name])
        for name in _functions_of(node, functions):
            if name not in called:
                called.add(name)
                yield from _of_function(name, functions, called)


def _of_function(name: str, functions: dict[str, Any], called: set[str]) -> Iterator[str]:
    for node in functions[name].node_def:
        yield node.op
        for inner in _functions_of(node, functions):
            if inner not in called:
                called.add(inner)
                yield from _of_function(inner, functions, called)


def _functions_of(node: Any, functions: dict[str, Any]) -> Iterator[str]:
    if node.op in functions:
        yield node.op
    for value in node.attr.values():
        for found in (value.func, *value.list.func):
            if found.name in functions:
                yield found.name


def _node_names(info: Any) -> Iterator[str]:
    texts = [info.name] if info.WhichOneof("encoding") == "name" else []
    sparse = info.coo_sparse
    texts += [sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
    texts += [component.name for component in info.composite_tensor.components]
    yield from (text.partition(":")[0] for text in texts if text)
