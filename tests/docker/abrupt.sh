#!/bin/bash
# The stand-in as a server that ends at once on SIGTERM, whatever is under way, as tensorflow/serving does. Something
# always is: each request waits for others.
trap 'kill -KILL $!' TERM
tensorflow_model_server --enable_batching --batching_parameters_file="${0%.sh}.config" "$@" &
wait $!
