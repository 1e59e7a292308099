"""A model that knows digits: a logistic regression on scikit-learn's digits, with the exporter's signatures."""

from pathlib import Path

import numpy as np

SIZE = 28  # pixels of a side, as clients send it


def write(folder: Path) -> Path:
    """A SavedModel with `serving_default(image uint8[?,28,28])` and `serve_image_bytes(image_bytes string[?])`."""
    import tensorflow as tf
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    found = load_digits()
    known = LogisticRegression(max_iter=100).fit(found.data / 16, found.target)
    module = tf.Module()
    module.weights = tf.Variable(known.coef_.T.astype(np.float32))
    module.bias = tf.Variable(known.intercept_.astype(np.float32))

    def answer(images):
        small = tf.image.resize(tf.cast(images, tf.float32)[..., None] / 255, (8, 8), method="area")
        probabilities = tf.nn.softmax(tf.reshape(small, (-1, 64)) @ module.weights + module.bias)
        class_id = tf.argmax(probabilities, 1)
        return {"probabilities": probabilities, "class_id": class_id, "label": tf.strings.as_string(class_id)}

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE], tf.uint8, name="image")])
    def pixels(image):
        return answer(image)

    def decoded(data):
        return tf.ensure_shape(tf.io.decode_png(data, 1)[..., 0], (SIZE, SIZE))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def files(image_bytes):
        return answer(tf.map_fn(decoded, image_bytes, fn_output_signature=tf.TensorSpec((SIZE, SIZE), tf.uint8)))

    tf.saved_model.save(module, str(folder), signatures={"serving_default": pixels, "serve_image_bytes": files})
    return folder
