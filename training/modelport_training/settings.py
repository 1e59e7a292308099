"""What can be set about a training; the fields are the options of `modelport train`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.errors import InvalidArgument
from modelport.run_record import RunRecord
from modelport_training.own_data import DataOptions
from modelport_training.recipe import Recipe

TASKS = ("classification", "regression")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class Plan:
    """All settings that decide the weights; a run is resumed with an equal plan only."""

    recipe: str  # the full name of its module
    dataset: str
    epochs: int
    batch_size: int
    learning_rate: float | None  # None: that of the model's own optimizer
    seed: int
    patience: int
    precision: str | None = None  # None: Keras' own
    class_weight: str | None = None
    data: Mapping[str, Any] | None = None  # what a user says of data of his own
    options: Mapping[str, Any] = field(default_factory=dict)  # of the recipe's build


@dataclass(frozen=True)
class Settings:
    """The settings of one training, as a user gives them; None stands for the recipe's default.

    Raises:
        InvalidArgument: a number is out of its range, or `resume` and `overwrite` are both set.
    """

    recipe: str
    dataset: str = field(default="digits", metadata={"help": "digits, mnist, fashion_mnist or tfds:NAME"})
    data: Path | None = field(
        default=None,
        metadata={"help": "data of one's own: a folder of images, a .csv, .parquet, .jsonl or .tfrecord file"},
    )
    target: str | None = field(default=None, metadata={"help": "with data: the column to be predicted"})
    task: str | None = field(
        default=None, metadata={"help": "with data: classification or regression (default: by the target's values)"}
    )
    text: str | None = field(
        default=None, metadata={"help": "with data: columns that are text, though they read as numbers; a,b"}
    )
    features: Path | None = field(default=None, metadata={"help": "with TFRecords: a JSON file of their features"})
    image_size: int | None = field(default=None, metadata={"help": "with images of several sizes: pixels of a side"})
    stream: bool = field(
        default=False,
        metadata={"help": "with data: read them from the disk for every epoch, even where memory has room"},
    )
    options: Mapping[str, Any] = field(
        default_factory=dict, metadata={"help": "of the recipe's build: --set width=128"}
    )
    epochs: int | None = field(
        default=None, metadata={"help": "passes over the training data, at most (default: the recipe's)"}
    )
    batch_size: int | None = field(default=None, metadata={"help": "examples a step (default: the recipe's)"})
    learning_rate: float | None = field(default=None, metadata={"help": "of the optimizer (default: the recipe's)"})
    seed: int = field(default=0, metadata={"help": "of the weights, the order of the examples and dropout"})
    patience: int = field(
        default=5, metadata={"help": "stop after so many epochs without a better validation loss; 0: never"}
    )
    precision: str | None = field(
        default=None, metadata={"help": "mixed_bfloat16, mixed_float16 or float32 (default: the recipe's)"}
    )
    class_weight: str | None = field(
        default=None, metadata={"help": "balanced: rare classes count more (default: the recipe's CLASS_WEIGHT)"}
    )
    fingerprint: str = field(default="", metadata={"help": "that the data must have; set by --like"})
    output: Path | None = field(default=None, metadata={"help": "the run folder (default: runs/RECIPE-DATASET)"})
    workers: int = field(
        default=1, metadata={"help": "processes of this machine that share each batch; TF_CONFIG says those of several"}
    )
    way: str | None = field(
        default=None, metadata={"help": "compiled or fit: how an epoch is trained (default: the faster one)"}
    )
    resume: bool = field(
        default=False, metadata={"help": "go on where a killed run of the same settings stopped, if there is one"}
    )
    histograms: bool = field(default=False, metadata={"help": "the weights of each epoch for TensorBoard, too"})
    profile: bool = field(default=False, metadata={"help": "what takes its time in the second epoch, for TensorBoard"})
    changed_code: str | None = field(
        default=None, metadata={"help": "with resume: go on although the recipe's code was changed, and why"}
    )
    overwrite: bool = field(default=False, metadata={"help": "replace the run that is in the folder"})

    def __post_init__(self) -> None:
        for name, least in (
            ("image_size", 1),
            ("workers", 1),
            ("epochs", 1),
            ("batch_size", 1),
            ("seed", 0),
            ("patience", 0),
        ):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not least <= value < 2**31):
                raise InvalidArgument(f"Expected {name} as a whole number from {least}. Received: {value!r}.")
        if self.learning_rate is not None and not 0 < self.learning_rate < float("inf"):
            raise InvalidArgument(f"Expected learning_rate as a number above 0. Received: {self.learning_rate!r}.")
        for name, known in (
            ("precision", PRECISIONS),
            ("class_weight", ("balanced",)),
            ("way", ("compiled", "fit")),
            ("task", TASKS),
        ):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise InvalidArgument(f"Expected {name} as one of {', '.join(known)}. Received: {value!r}.")
        if self.resume and self.overwrite:
            raise InvalidArgument("Expected resume or overwrite. Received: both; resume keeps what overwrite removes.")

    def plan(self, recipe: Recipe) -> Plan:
        """With the recipe's defaults for what was left open; an own `load_data` takes the place of the dataset."""
        return Plan(
            recipe=recipe.module,
            dataset=self._dataset(recipe),
            epochs=recipe.epochs if self.epochs is None else self.epochs,
            batch_size=recipe.batch_size if self.batch_size is None else self.batch_size,
            learning_rate=recipe.learning_rate if self.learning_rate is None else self.learning_rate,
            seed=self.seed,
            patience=self.patience,
            precision=self.precision,
            class_weight=self.class_weight,
            data=None if self.data is None else self.data_options().to_dict(),
            options=dict(self.options),
        )

    def data_options(self) -> DataOptions:
        """What was said of data of one's own."""
        text = tuple(filter(None, (self.text or "").split(",")))
        streamed = True if self.stream else None
        if self.data is None:
            raise InvalidArgument("Expected data of one's own.")
        return DataOptions(self.data, self.target, self.task, text, self.features, self.image_size, streamed)

    def _dataset(self, recipe: Recipe) -> str:
        if recipe.load_data is not None:
            return f"{recipe.module}.load_data"
        return self.dataset if self.data is None else self.data.name

    def folder(self, recipe: Recipe) -> Path:
        """The run folder: `output`, or one below `runs` that is named for recipe and dataset."""
        dataset = "own" if recipe.load_data else self.data.stem if self.data else self.dataset
        return self.output or Path("runs") / re.sub(r"[^\w.-]+", "-", f"{recipe.name}-{dataset}")


def settings_of(record: RunRecord, **changes: Any) -> Settings:
    """The settings that a run was made with, to make it once more.

    Args:
        record: of the run.
        **changes: fields that are to be others: an output at least.

    Raises:
        InvalidArgument: the record is of an earlier modelport, which did not keep all of them.
    """
    then = dict(record.settings)
    if record.recipe is None or not {"epochs", "batch_size", "seed", "way", "options"} <= set(then):
        raise InvalidArgument(
            "Expected the record of a run with all of its settings. Received: one of an earlier modelport."
        )
    data = then.get("data") or {}
    return Settings(
        **{
            "recipe": record.recipe.removeprefix("modelport_training.recipes."),
            **{name: then.get(name) for name in ("epochs", "batch_size", "learning_rate", "seed", "patience")},
            **{name: then.get(name) for name in ("precision", "class_weight", "options")},
            "dataset": then["dataset"] if not data else "digits",
            "way": then["way"] if then["way"] in ("compiled", "fit") else None,
            "data": Path(data["path"]) if data else None,
            "target": data.get("target"),
            "task": data.get("task"),
            "text": ",".join(data.get("text", [])) or None,
            "features": Path(data["features"]) if data.get("features") else None,
            "image_size": data.get("image_size"),
            "stream": bool(data.get("streamed")),
            **changes,
        }
    )


def differences(then: Mapping[str, object], plan: Plan) -> list[str]:
    """How the recorded settings of an earlier run differ from a plan, one phrase a setting."""
    now = dataclasses.asdict(plan)
    return [f"{name} was {then.get(name)!r} and is {now[name]!r}" for name in now if then.get(name) != now[name]]
