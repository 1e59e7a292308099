"""Which version is live, as far as a repository tells: by its `models.config`, else the newest."""

from __future__ import annotations

from modelport import layout
from modelport.repository import Repository
from modelport.serverconfig import ModelConfig, Specific, parse_models, read


def model_config(repository: Repository, model: str) -> ModelConfig:
    """What the repository's `models.config` says of a model; the newest version where it says nothing.

    Raises:
        InvalidArgument: that file is no configuration.
    """
    path = repository.root / layout.MODELS_CONFIG
    plain = ModelConfig(model, str(repository.base_path(model)))
    if not path.exists():
        return plain
    said = parse_models(read(path), repr(str(path))).models or ()
    return next((one for one in said if one.name == model), plain)


def live_version(config: ModelConfig, newest: int | None) -> int | None:
    """The version that answers requests without version or label; None where that is not known."""
    return max(config.policy.versions, default=None) if isinstance(config.policy, Specific) else newest
