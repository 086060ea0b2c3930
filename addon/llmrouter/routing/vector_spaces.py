"""Embeddings of different models must never stand beside each other: who may answer for a requested model.

An app keeps vectors for years and compares new ones with them, so that a stand-in is worse than an error.
"""

from llmrouter.brands.brand import Offer
from llmrouter.brands.model_names import bare_name
from llmrouter.calls import Call, Endpoint
from llmrouter.routing.catalog import Candidates
from llmrouter.routing.gates import Gate, Refusal
from llmrouter.targets import Target


def space_of(call: Call, found: Candidates) -> str | None:
    """The model, by its bare name, whose vectors a call gets; None for calls that are not about vectors.

    That is the requested one; or, where a route names stand-ins, the first one there that has embeddings, whatever its
    health: tomorrow's vectors must be of the same model.
    """
    if call.endpoint is not Endpoint.EMBEDDINGS:
        return None
    if found.route is not None and found.route.use:
        able = [target for target in found.targets if Offer.EMBEDDINGS in target.brand.endpoints]
        if able:
            return bare_name(min(able, key=lambda target: target.priority).model)
    return bare_name(call.model)


def refuse_other_space(target: Target, call: Call, space: str | None) -> Refusal | None:
    """Why a target must not answer with its vectors."""
    if call.endpoint is not Endpoint.EMBEDDINGS:
        return None
    if Offer.EMBEDDINGS not in target.brand.endpoints:
        return Refusal("it has no embeddings", Gate.REQUEST)
    if bare_name(target.model) != space:
        text = f"its vectors are others than those of {space}, and must not be mixed; a route can `use` it alone"
        return Refusal(text, Gate.DEMAND)
    return None
