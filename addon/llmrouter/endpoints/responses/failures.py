"""What a failed response calls its error."""

from typing import Protocol

_CODES = frozenset(
    {
        *("server_error", "rate_limit_exceeded", "invalid_prompt", "data_residency_mismatch", "bio_policy"),
        *("misalignment_policy_violation", "vector_store_timeout", "invalid_image", "invalid_image_format"),
        *("invalid_base64_image", "invalid_image_url", "image_too_large", "image_too_small", "image_parse_error"),
        *("image_content_policy_violation", "invalid_image_mode", "image_file_too_large"),
        *("unsupported_image_media_type", "empty_image_file", "failed_to_download_image", "image_file_not_found"),
    }
)
"""Codes that a failed response may have (`ResponseError` of OpenAI's SDK 3.54)."""

_BLAMES_PROMPT = frozenset({400, 413, 422})


class ErrorToTell(Protocol):
    """What is read of an error: `RouterError` is one."""

    status: int
    code: str | None


def error_code(error: ErrorToTell) -> str:
    """OpenAI's code for a response that failed so; it knows few, all others are told as the nearest of these."""
    if error.code in _CODES:
        return error.code
    if error.status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if error.status in _BLAMES_PROMPT else "server_error"
