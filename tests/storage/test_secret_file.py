"""The installation's secret: one for all, and for its owner alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmrouter.storage.secret_file import SECRET_BYTES, read_or_make_secret


def test_it_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "secret"
    made = read_or_make_secret(file)
    assert (len(made), file.stat().st_mode & 0o777) == (SECRET_BYTES, 0o600)
    assert read_or_make_secret(file) == made
    assert list(file.parent.iterdir()) == [file]


def test_what_is_none_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"short")
    file.chmod(0o644)
    assert read_or_make_secret(file) == file.read_bytes() != b"short"
    assert file.stat().st_mode & 0o777 == 0o600


def test_routers_that_start_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(read_or_make_secret, [tmp_path / "secret"] * 32))
    assert len(found) == 1


def test_where_it_cannot_be_kept_it_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    assert len(read_or_make_secret(tmp_path / "file" / "secret")) == SECRET_BYTES
    assert "cannot be" in caplog.text
