"""The built-in recipes that are trained on the digits; the others want data of their own kind."""

ON_DIGITS = ("convolutional", "functional", "scaled", "sequential", "two_branch")

# The beginning of a recipe: 40 rows to train on, 20 held out.
HEAD = """
import keras
import numpy as np
import tensorflow as tf
from modelport_training import Dataset

EPOCHS = 2
R = np.random.default_rng(0)
X = R.normal(size=(60, 4)).astype("float32")
Y = X @ np.array([1.0, 2.0, -1.0, 0.5], "float32")
K = (Y > 0).astype("int64")


def load_data():
    return (X[:40], Y[:40]), (X[40:], Y[40:])

"""
DENSE = """
def build(classes):
    return keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(1)])
"""
