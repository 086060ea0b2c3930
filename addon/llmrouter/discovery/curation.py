"""What people decide about single models of the catalog: a small YAML file, by canonical name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmrouter.calls import Need


class CurationError(Exception):
    """A curation file that cannot be used; the message says why."""


class CuratedModel(BaseModel):
    """One model. `allow_paid`: where a provider has no free offer of it, a paid one is taken.

    `parameters_billion` is its size where the name does not tell, for the quality; `quality` sets that itself.
    `capabilities` is everything it can do beyond plain chat, for providers that do not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    allow_paid: Annotated[bool, Field(strict=True)] = False
    aliases: tuple[str, ...] = ()
    parameters_billion: Annotated[float, Field(gt=0)] | None = None
    quality: Annotated[float, Field(ge=0, le=1)] | None = None
    capabilities: tuple[Need, ...] | None = None


class Curation(BaseModel):
    """The file: models by canonical name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: Mapping[str, CuratedModel] = Field(default_factory=dict)

    def of(self, name: str) -> CuratedModel:
        """What is decided about a model; the defaults where nothing is."""
        return self.models.get(name, CuratedModel())


def load_curation(path: Path) -> Curation:
    """The curation in a file; raises `CurationError`."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Curation.model_validate(value or {})
    except OSError as error:
        raise CurationError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise CurationError(f"{path} is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise CurationError(f"{path}: {place}: {first['msg']}") from error
