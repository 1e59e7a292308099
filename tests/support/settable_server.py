"""A server whose capacity its settings decide, started as `tensorflow_model_server` is.

It answers one request at a time, after 8 ms, or after 2 ms with one thread within operations. As an older
`tensorflow_model_server` it knows no --grpc_channel_arguments.
"""

import argparse

from tests.support.answering_server import AnsweringServer, after


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tensorflow_intra_op_parallelism", type=int, default=0)
    for ignored in ("model_name", "model_base_path", "tensorflow_inter_op_parallelism", "grpc_max_threads"):
        parser.add_argument(f"--{ignored}")
    options = parser.parse_args()
    seconds = 0.002 if options.tensorflow_intra_op_parallelism == 1 else 0.008
    with AnsweringServer(after(seconds), port=options.port) as server:
        server.wait()


if __name__ == "__main__":
    main()
