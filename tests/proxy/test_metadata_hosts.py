"""No spelling of a metadata address gets through, and no other host is taken for one."""

import pytest

from llmrouter.proxy.metadata_hosts import is_metadata_host


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.169.254.",
        "2852039166",
        "0xa9fea9fe",
        "0xa9.254.0251.254",
        "169.254.43518",
        "::ffff:169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "::a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "[FD00:0EC2:0::254]",
        "metadata.google.internal",
        "Metadata.Google.Internal.",
    ],
)
def test_every_spelling_is_recognized(host: str) -> None:
    assert is_metadata_host(host)


@pytest.mark.parametrize("host", ["api.openai.com", "127.0.0.1", "::1", "169.254.169.253", "", "metadata.example.com"])
def test_other_hosts_are_not(host: str) -> None:
    assert not is_metadata_host(host)
