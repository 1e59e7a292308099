"""What several situations share: a model, its publishing and serving, a broken file."""

from __future__ import annotations

import zipfile

import keras
import numpy as np

from modelport import manifest
from modelport_client import Client
from modelport_export import publish
from modelport_serving import AUTO, Options, Server

layers, ops = keras.layers, keras.ops
X = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (8, 8, 8, 3), np.uint8)


class TwoArguments(keras.Model):
    """Of two arguments either may be given."""

    def __init__(self):
        super().__init__()
        self.words, self.pictures = layers.Dense(2), layers.Dense(2)

    def call(self, text=None, image=None):
        return self.pictures(image) if text is None else self.words(text)


def a_fixed_batch():
    x = keras.Input(batch_shape=(4, 3), name="x")
    model = keras.Model(x, layers.Dense(2, name="y")(x))
    return model, {"x": X[:4]}, {"y": model(X[:4])}


def check(model, samples, expected, tmp_path, only=("grpc", "rest"), **given):
    """Publish, serve, ask over both transports, and hold the answers against Keras' own."""
    publish(model, name="m", repository=tmp_path / "models", samples=samples, **given)
    options = Options(model_name="m", model_base_path=str(tmp_path / "models" / "m"), port=AUTO, rest_api_port=AUTO)
    with Server(options) as server:
        addresses = {"grpc": server.grpc_address, "rest": server.rest_address}
        for transport in only:
            with Client(addresses[transport]) as client:
                answer = client.predict("m", samples)
            for alias, want in expected.items():
                hold(np.asarray(want.numpy()), np.asarray(answer.raw[alias]))


def hold(want, have):
    if want.dtype.kind == "f":
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)
    else:
        assert have.tolist() == want.tolist()


def shape_of(published, alias):
    facts = manifest.read(published.path)
    return facts.signatures["serving_default"]["inputs"][alias]["shape"]


def keras_file(path, version):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["metadata.json"] = b'{"keras_version": "%s", "date_saved": "2023"}' % version.encode()
    parts["config.json"] = (
        parts["config.json"].replace(b"keras.layers", b"keras.src.nowhere").replace(b"Dense", b"Tense")
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def image_model(outputs):
    image = keras.Input((8, 8, 3), name="image")
    return keras.Model(image, outputs(layers.Flatten()(image)))
