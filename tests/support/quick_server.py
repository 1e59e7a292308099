"""A server that is started as `tensorflow_model_server` is, in a moment, and answers one request after the other."""

import argparse

from tests.support.answering_server import AnsweringServer, after

_SECONDS = 0.005  # of an answer


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int, required=True)
    options, _ = parser.parse_known_args()
    with AnsweringServer(after(_SECONDS), port=options.port) as server:
        server.wait()


if __name__ == "__main__":
    main()
