"""Runs in the environment of `kubernetes.txt`: `check_custom_resources.py FILE…`, rendered YAML.

Holds InferenceServices against KServe's own Python models and ServiceMonitors against models made from the operator's
schema: unknown fields, wrong types and missing fields are told, one a line, and the exit code is 1. Prints what passed.
The Kubernetes types inside them are held against the strict schemas of kubernetes-validate.
"""

import functools
import importlib.resources
import importlib.util
import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = "1.37"
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}
ELSEWHERE = {"IntstrIntOrString": (int, str), "ResourceQuantity": (int, str), "object": object}


@functools.cache
def kserve_models() -> types.ModuleType:
    """`kserve.models` without `kserve` itself, which imports a whole server."""
    package = types.ModuleType("kserve")
    package.__path__ = list(importlib.util.find_spec("kserve").submodule_search_locations)
    sys.modules["kserve"] = package
    return importlib.import_module("kserve.models")


def kubernetes_problems(kind: str, value: Any, path: str) -> Iterator[str]:
    """What is wrong with a Kubernetes type such as V1Container, `kind` without its version."""
    import jsonschema

    folder = importlib.resources.files("kubernetes_validate") / f"kubernetes-json-schema/v{KUBERNETES}.0-local-strict"
    schema = json.loads((folder / "_definitions.json").read_text())
    names = [f"io.k8s.api.{package}.{kind}" for package in ("core.v1", "apps.v1", "autoscaling.v2")]
    names.append(f"io.k8s.apimachinery.pkg.apis.meta.v1.{kind}")
    name = next((name for name in names if name in schema["$defs"]), None)
    if name is None:
        yield f"{path}: no schema for {kind}"
        return
    for error in jsonschema.Draft202012Validator({**schema, "$ref": f"#/$defs/{name}"}).iter_errors(value):
        yield f"{path}{error.json_path[1:]}: {error.message}"


def problems(kind: str, value: Any, path: str, models: types.ModuleType) -> Iterator[str]:
    """What is wrong with a value that should be of a type as KServe's models spell it."""
    if items := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{path}: not a list"
            return
        for index, item in enumerate(value):
            yield from problems(items[1], item, f"{path}[{index}]", models)
    elif entries := re.fullmatch(r"dict\(str, (.+)\)", kind):
        for key, item in value.items():
            yield from problems(entries[1], item, f"{path}.{key}", models)
    elif kind in PLAIN or kind in ELSEWHERE:
        if not isinstance(value, {**PLAIN, **ELSEWHERE}[kind]) or (kind == "int" and isinstance(value, bool)):
            yield f"{path}: {value!r} is no {kind}"
    elif (model := getattr(models, kind, None)) is None:
        yield from kubernetes_problems(re.sub(r"^(K8sIoApi.*?)?V\d(?=[A-Z])", "", kind), value, path)
    else:
        fields = {model.attribute_map[name]: (name, type_) for name, type_ in model.openapi_types.items()}
        for key, item in value.items():
            if key not in fields:
                yield f"{path}.{key}: {kind} has no such field"
            else:
                yield from problems(fields[key][1], item, f"{path}.{key}", models)
        try:
            model(**{name: value[key] for key, (name, _) in fields.items() if key in value})
        except ValueError as error:  # what must not be missing
            yield f"{path}: {error}"


def service_monitor_problems(document: dict[str, Any]) -> Iterator[str]:
    """The models ignore what they do not know: whatever did not arrive in them is wrong."""
    import pydantic
    from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor

    try:
        read = ServiceMonitor.model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except pydantic.ValidationError as error:
        yield str(error)
        return
    if read != document:
        yield f"only this of it is known: {json.dumps(read)}"


def main(paths: list[str]) -> int:
    found = 0
    for path in paths:
        for document in filter(None, yaml.safe_load_all(Path(path).read_text())):
            match (document["apiVersion"], document["kind"]):
                case ("serving.kserve.io/v1beta1", "InferenceService" as kind):
                    wrong = list(problems("V1beta1InferenceService", document, kind, kserve_models()))
                case ("monitoring.coreos.com/v1", "ServiceMonitor" as kind):
                    wrong = list(service_monitor_problems(document))
                case _:
                    continue
            for problem in wrong:
                print(f"ERROR {kind}/{document['metadata']['name']}: {problem}")
            if not wrong:
                print(f"passed {kind}/{document['metadata']['name']}")
            found += len(wrong)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
