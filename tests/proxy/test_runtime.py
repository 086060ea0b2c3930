"""The router without a configuration file takes over a newer model index, and requests go on meanwhile."""

import threading
from pathlib import Path

import orjson
import pytest

from llmrouter.proxy import runtime as module
from llmrouter.proxy.runtime import Runtime
from llmrouter.routing.catalog import Catalogue, build_targets


async def test_a_newer_index_is_made_ready_on_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models = [{"name": "new-one", "offers": [{"provider": "groq", "id": "new/one", "free": True}]}]
    index = tmp_path / "index.json"
    index.write_bytes(orjson.dumps({"version": 1, "generated_at": "2026-11-23T00:00:00Z", "models": models}))
    environ = {
        "LLMROUTER_MODEL_INDEX_URL": index.as_uri(),
        "LLMROUTER_PROVIDERS": "groq",
        "GROQ_API_KEY": "key-of-groq",
    }
    threads: list[threading.Thread] = []

    def build(*given: object) -> Catalogue:
        threads.append(threading.current_thread())
        return build_targets(*given)  # type: ignore[arg-type]  # passed on as they came

    runtime = Runtime(None, environ, may_print=False)
    try:
        monkeypatch.setattr(module, "build_targets", build)
        await runtime.refresh_index()
        assert runtime.target_keys == ["groq/new/one"]
        assert len(threads) == 1
        assert threads[0] is not threading.main_thread()
    finally:
        await runtime.close()
