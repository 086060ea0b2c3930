"""The index is there at once, the one at the URL later; what is late, large or wrong changes nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmrouter.discovery import index_source
from llmrouter.discovery.index_source import IndexSource, IndexUnavailable, shipped_index
from llmrouter.discovery.model_index import ModelIndex, encode_index
from tests.fakes.behaviours import Behaviour
from tests.fakes.provider import FakeProvider, Stall, Status

INDEX = ModelIndex(version=1, generated_at=datetime(2030, 1, 1, tzinfo=UTC), models=shipped_index().models[:1])
GOOD = Status(200, encode_index(INDEX))


async def test_without_a_url_there_is_the_shipped_index_and_nothing_to_refresh(tmp_path: Path) -> None:
    source = IndexSource.of_environment({}, tmp_path / "state")
    assert source.at_start().index == shipped_index()
    assert await source.refresh() is None
    assert not (tmp_path / "state").exists()


async def test_the_index_at_the_url_is_kept_for_the_next_start(tmp_path: Path) -> None:
    async with FakeProvider(default=GOOD) as server:
        environ = {"LLMROUTER_MODEL_INDEX_URL": f"{server.base_url}/index.json?token=secret"}
        source = IndexSource.of_environment(environ, tmp_path / "state")
        assert source.at_start().index == shipped_index()
        assert server.requests == []
        fetched = await source.refresh()
    assert fetched is not None and fetched.index == INDEX and fetched.warning is None
    again = IndexSource.of_environment(environ, tmp_path / "state").at_start()
    assert again.index == INDEX
    assert "last good copy" in again.origin and "secret" not in again.origin + fetched.origin
    assert len(list((tmp_path / "state").iterdir())) == 1


async def test_another_url_does_not_begin_with_this_ones_copy(tmp_path: Path) -> None:
    async with FakeProvider(default=GOOD) as server:
        await IndexSource(f"{server.base_url}/one", tmp_path).refresh()
        assert IndexSource(f"{server.base_url}/other", tmp_path).at_start().index == shipped_index()


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Status(404), "HTTP 404"),
        (Status(200, b"<html>"), "no JSON"),
        (Status(200, b'{"version": 9}'), "version"),
        (Stall(), "within 0.3 s"),
    ],
)
async def test_a_bad_answer_leaves_the_last_good_copy(tmp_path: Path, reply: Behaviour, told: str) -> None:
    async with FakeProvider(GOOD, default=reply) as server:
        source = IndexSource(f"{server.base_url}/index.json", tmp_path, timeout_s=0.3)
        await source.refresh()
        with pytest.raises(IndexUnavailable, match=told):
            await source.refresh()
    assert source.at_start().index == INDEX


async def test_an_index_that_is_too_large_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_source, "MAX_BYTES", 100)
    async with FakeProvider(default=GOOD) as server:
        with pytest.raises(IndexUnavailable, match="more than 100 bytes"):
            await IndexSource(f"{server.base_url}/index.json", tmp_path).refresh()


async def test_redirects_are_followed_since_release_files_need_them(tmp_path: Path) -> None:
    async with FakeProvider(Status(302, b"", {"location": "/v1/there"}), default=GOOD) as server:
        fetched = await IndexSource(f"{server.base_url}/here", tmp_path).refresh()
    assert fetched is not None and fetched.index == INDEX


async def test_a_server_that_is_away_and_addresses_that_are_none_are_told(tmp_path: Path) -> None:
    async with FakeProvider() as closed:
        away = closed.base_url
    for url in (away, "ftp://example.com/index.json", "index.json", "http://[bad", f"file://{tmp_path}/none.json"):
        with pytest.raises(IndexUnavailable):
            await IndexSource(url, tmp_path).refresh()


async def test_a_file_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "an index.json"
    file.write_bytes(encode_index(INDEX))
    fetched = await IndexSource(file.as_uri(), tmp_path / "state").refresh()
    assert fetched is not None and fetched.index == INDEX


def test_a_kept_copy_that_is_broken_is_told_and_not_used(tmp_path: Path) -> None:
    source = IndexSource("https://example.com/index.json", tmp_path)
    source.kept.write_bytes(b"{")
    loaded = source.at_start()
    assert loaded.index == shipped_index()
    assert loaded.warning is not None and "no JSON" in loaded.warning


async def test_a_copy_that_cannot_be_kept_is_told_and_the_index_used(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    async with FakeProvider(default=GOOD) as server:
        fetched = await IndexSource(f"{server.base_url}/index.json", tmp_path / "state").refresh()
    assert fetched is not None and fetched.index == INDEX
    assert fetched.warning is not None and "cannot be kept" in fetched.warning


async def test_an_index_of_no_use_is_neither_taken_nor_kept(tmp_path: Path) -> None:
    async with FakeProvider(default=GOOD) as server:
        source = IndexSource(f"{server.base_url}/index.json", tmp_path)
        with pytest.raises(IndexUnavailable, match="no model in it can be used with these providers and keys"):
            await source.refresh(lambda index: index != INDEX)
    assert source.at_start().index == shipped_index()


async def test_an_address_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailable):
        await IndexSource("http://127.0.0.1:99999/index.json", tmp_path).refresh()
