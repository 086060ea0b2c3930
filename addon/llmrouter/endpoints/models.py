"""GET /v1/models and /v1/models/{id}: what the router answers for now, as OpenAI lists models."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import orjson

from llmrouter.errors import RelayedError
from llmrouter.targets import ServedModel

PATH = "/v1/models"
_OWNER = "llmrouter"


def requested_name(path: str) -> str | None:
    """The model that a path asks for, None where it asks for all of them."""
    return unquote(path.removeprefix(PATH).removeprefix("/")) or None


def is_asked(method: str, path: str) -> bool:
    """Whether a request asks for models, and not for something of a model."""
    return method == "GET" and (path == PATH or path.startswith(f"{PATH}/"))


def render_list(models: Iterable[ServedModel]) -> bytes:
    """All models as OpenAI's list."""
    return orjson.dumps({"object": "list", "data": [_model(model) for model in models]})


def render_one(model: ServedModel) -> bytes:
    """One model."""
    return orjson.dumps(_model(model))


def not_found(name: str) -> RelayedError:
    """OpenAI's own answer for a model that it does not know."""
    text = f"The model '{name[:200]}' does not exist, or nobody answers for it now."
    return RelayedError(404, {"message": text, "param": "model", "code": "model_not_found"})


def _model(model: ServedModel) -> dict[str, Any]:
    """OpenAI's model object; when a model was made is not known, and who is behind it stands in a member of ours."""
    providers = dict.fromkeys(target.provider for target in model.available)
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": ", ".join(providers) or _OWNER,
        "llmrouter": {
            "targets": [target.key for target in model.available],
            "resting": [target.key for target in model.resting],
        },
    }
