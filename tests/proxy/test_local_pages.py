"""Which names a browser may ask the local pages by."""

import pytest

from llmrouter.proxy.local_pages import is_private_name


@pytest.mark.parametrize(
    ("host", "is_private"),
    [
        (None, True),
        ("localhost:4000", True),
        ("127.0.0.1:4000", True),
        ("[::1]:4000", True),
        ("[::1]", True),
        ("192.168.1.7", True),
        ("llmrouter:4000", True),
        ("host.docker.internal:4000", True),
        ("studio.local", True),
        ("evil.example", False),
        ("evil.example:4000", False),
        ("127.0.0.1.evil.example:4000", False),
        ("localhost.evil.example", False),
        ("evil.example.", False),
        ("", False),
    ],
)
def test_names_that_a_web_site_can_have_are_refused(host: str | None, is_private: bool) -> None:
    assert is_private_name(host) is is_private
