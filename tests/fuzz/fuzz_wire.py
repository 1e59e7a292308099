"""Coverage-guided fuzzing of the tensor codec: `make fuzz`, or this file with libFuzzer's flags and folders of inputs.

    python tests/fuzz/fuzz_wire.py -max_total_time=60 build/fuzz/wire tests/fuzz/corpus/wire

New inputs go to the first folder. What breaks a check is written to the path that libFuzzer names: put it into the
corpus as `finding-…`, where `test_corpus.py` replays it.
"""

import sys

import atheris

# Only what is imported in here reports its coverage: our own code, not that of numpy or protobuf.
with atheris.instrument_imports(include=["modelport", "modelport_serving"]):
    from wire_checks import check


def main() -> None:
    arguments = [*sys.argv, "-timeout=10"]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
