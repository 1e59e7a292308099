"""The model behind FastAPI and uvicorn, in the fast form: orjson on the raw body, no pydantic model of the numbers."""

from __future__ import annotations

import sys

import numpy as np
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from savedmodel import SavedModel

FOLDER, PORT = sys.argv[1], int(sys.argv[2])
app = FastAPI()
model = SavedModel(FOLDER)


@app.post("/predict")
async def predict(request: Request) -> Response:
    """Read, run beside the event loop, write."""
    pixels = np.array(orjson.loads(await request.body())["instances"], np.float32)
    probabilities = await run_in_threadpool(model, pixels)
    body = orjson.dumps({"predictions": probabilities}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, access_log=False, log_level="warning")
