"""A rough quality from 0 to 1 for models that nobody has ranked: by their size.

Rule: 0.3 + 0.065 * log2(parameters in billions), between 0.1 and 0.95, to two digits: 8B 0.49, 20B 0.58, 70B 0.7,
120B 0.75, 400B 0.86. All parameters count, not only those that work at a time. It ranks models of one generation about
right and knows nothing of generations, so that it is good for a minimum such as `min_quality: 0.6` and for an order,
not for a comparison of neighbours. Sizes are read from the name, or stand in the curation file.
"""

import math
import re

_BASE, _PER_DOUBLING = 0.3, 0.065
_LEAST, _MOST = 0.1, 0.95
# `8x7b` are eight experts of seven; `e4b` and `a22b` count what works at a time, and are no size of the whole.
_SIZE = re.compile(r"(?:^|-)(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,2})?)([bt])(?=-|$)")


def quality_of(name: str, parameters_billion: float | None = None) -> float | None:
    """The quality of a model by its canonical name; None where its size is not known."""
    billions = parameters_billion if parameters_billion is not None else size_of(name)
    if billions is None or billions <= 0:
        return None
    return round(min(max(_BASE + _PER_DOUBLING * math.log2(billions), _LEAST), _MOST), 2)


def size_of(name: str) -> float | None:
    """The parameters that a name tells, in billions."""
    found = _SIZE.search(name)
    if found is None:
        return None
    experts, size, unit = found.groups()
    return int(experts or 1) * float(size) * (1000 if unit == "t" else 1)
