"""Coverage-guided fuzzing of the JSON decoder: `make fuzz`, or this file with libFuzzer's flags and folders of inputs.

    python tests/fuzz/fuzz_json.py -max_total_time=60 build/fuzz/json tests/fuzz/corpus/json

New inputs go to the first folder. What breaks a check is written to the path that libFuzzer names: put it into the
corpus as `finding-…`, where `test_corpus.py` replays it.
"""

import sys
from pathlib import Path

import atheris

# Only what is imported in here reports its coverage: our own code, not that of numpy or protobuf.
with atheris.instrument_imports(include=["modelport", "modelport_serving"]):
    from json_checks import check


def main() -> None:
    words = Path(__file__).with_name("json.dict")
    arguments = [*sys.argv, f"-dict={words}", "-timeout=10"]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
