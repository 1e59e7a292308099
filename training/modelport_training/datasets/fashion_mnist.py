"""`fashion_mnist`: 60,000 + 10,000 pieces of clothing at 28x28.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747, 2017.
"""

from __future__ import annotations

import gzip
import tempfile
import zlib
from pathlib import Path

from modelport.errors import DataLoss, Unavailable
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

DEBIAN_PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")


def from_installed(folder: Path = INSTALLED) -> Files:
    """Read the gzip idx files that the Debian package installs.

    Raises:
        Unavailable: they are not there.
        DataLoss: one is no whole gzip file.
    """
    try:
        return {name: gzip.decompress((folder / f"{name}.gz").read_bytes()) for name in FILES}
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataLoss(f"a file in {str(folder)!r} cannot be unpacked: {error}. Install the package again.") from error
    except OSError as error:
        raise Unavailable(f"there is no {error.filename!r}; 'apt install {DEBIAN_PACKAGE}' brings it.") from error


def from_debian() -> Files:
    """Fetch and unpack the Debian package without installing it, which needs no root.

    Raises:
        Unavailable: this is no Debian, or the package cannot be fetched.
    """
    with tempfile.TemporaryDirectory(prefix="modelport-fashion-mnist-") as name:
        folder = Path(name)
        fetch.run(["apt-get", "download", DEBIAN_PACKAGE], folder)
        package = next(folder.glob("*.deb"), None)
        if package is None:
            raise Unavailable(f"'apt-get download {DEBIAN_PACKAGE}' left no package.")
        fetch.run(["dpkg-deb", "-x", package.name, "."], folder)
        return from_installed(folder / INSTALLED.relative_to("/"))


FASHION_MNIST = IdxSet(
    name="fashion_mnist",
    licence="MIT",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    md5={
        TRAIN_IMAGES: "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        TRAIN_LABELS: "9018921c3c673c538a1fc5bad174d6f9",
        TEST_IMAGES: "8181f5470baa50b63fa0f6fddb340f0a",
        TEST_LABELS: "15d484375f8d13e6eb1aabb0c3f46965",
    },
    sources=(
        Source(str(INSTALLED), from_installed),
        Source(f"the Debian package {DEBIAN_PACKAGE}", from_debian),
        Source("keras.datasets", lambda: fetch.from_keras("fashion_mnist")),
    ),
)
