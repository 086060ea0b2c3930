"""What is the same in all the names that providers have for one model."""


def bare_name(id: str) -> str:
    """The last part of the path, without OpenRouter's and Hugging Face's `:variant`, in lower case."""
    path, _, _variant = id.strip().lower().partition(":")
    return path.rstrip("/").rpartition("/")[2].replace("_", "-")
