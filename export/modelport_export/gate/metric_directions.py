"""Which way Keras' own losses and metrics are better. Of any other nothing is known, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

# The names that Keras gives them by default; sources: keras.io/api/metrics and keras.io/api/losses.
_HIGHER = frozenset(
    [
        "accuracy",
        "acc",
        "binary_accuracy",
        "categorical_accuracy",
        "sparse_categorical_accuracy",
        "top_k_categorical_accuracy",
        "sparse_top_k_categorical_accuracy",
        "auc",
        "precision",
        "recall",
        "precision_at_recall",
        "recall_at_precision",
        "sensitivity_at_specificity",
        "specificity_at_sensitivity",
        "true_positives",
        "true_negatives",
        "f1_score",
        "fbeta_score",
        "f_beta_score",
        "r2_score",
        "cosine_similarity",
        "mean_io_u",
        "io_u",
        "binary_io_u",
        "one_hot_io_u",
        "one_hot_mean_io_u",
        "concordance_correlation",
        "pearson_correlation",
    ]
)
_LOWER = frozenset(
    [
        "loss",
        "mean_absolute_error",
        "mae",
        "mean_squared_error",
        "mse",
        "root_mean_squared_error",
        "rmse",
        "mean_absolute_percentage_error",
        "mape",
        "mean_squared_logarithmic_error",
        "msle",
        "false_positives",
        "false_negatives",
        "hinge",
        "squared_hinge",
        "categorical_hinge",
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "binary_focal_crossentropy",
        "categorical_focal_crossentropy",
        "kl_divergence",
        "kullback_leibler_divergence",
        "poisson",
        "log_cosh",
        "log_cosh_error",
        "logcosh",
        "huber",
        "huber_loss",
        "tversky",
        "dice",
        "circle",
        "ctc",
    ]
)
_HELD_OUT = "val_"


def of(name: str, outputs: Sequence[str] = ()) -> Literal["min", "max"] | None:
    """The direction of a metric by its name.

    Args:
        name: as Keras gives it: of itself, with `val_` before it, or with the name of an output before it.
        outputs: the names of the model's outputs.
    """
    plain = name.removeprefix(_HELD_OUT)
    for prefix in sorted(outputs, key=len, reverse=True):
        if plain.startswith(f"{prefix}_"):
            plain = plain.removeprefix(f"{prefix}_")
            break
    return "max" if plain in _HIGHER else "min" if plain in _LOWER else None
