#!/bin/bash
# As the real image's script does it: no exec, so bash stays process 1 and passes no signals on.
tensorflow_model_server --port=8500 --rest_api_port=8501 \
  --model_name="${MODEL_NAME}" --model_base_path="${MODEL_BASE_PATH}/${MODEL_NAME}" "$@"
