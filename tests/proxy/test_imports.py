"""What the router imports before it serves: start-up time is import time, and this watches it without a clock."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = """
providers:
  - {name: echo, type: echo, models: [{id: echo, serves: [gpt-4o-mini]}]}
storage: {url: "sqlite:///state.db"}
"""
# What only some settings or the command line need: each takes from 20 to 400 ms to import.
HEAVY = ("sqlalchemy", "alembic", "redis", "psycopg", "opentelemetry", "genai_prices", "openai", "tiktoken", "numpy")
# Beside those of mitmproxy; some room above what they are.
MOST_MODULES = {"llmrouter": 360, "all others": 400}
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
import mitmproxy.tools.main
mitmproxys = set(sys.modules)
from llmrouter.proxy.addon import LLMRouter
from llmrouter.proxy.runtime import Runtime
LLMRouter()
runtime = Runtime(Path("providers.yaml"), {})
print(json.dumps(sorted(set(sys.modules) - mitmproxys)))
asyncio.run(runtime.close())
"""


def test_no_heavy_module_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "providers.yaml").write_text(CONFIG)
    environ = {"PYTHONPATH": str(REPOSITORY / "addon"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
        env=environ,
    )
    modules: list[str] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[")))
    packages = {name.partition(".")[0] for name in modules}
    assert "llmrouter" in packages
    assert not packages & set(HEAVY)
    counted = Counter("llmrouter" if name.startswith("llmrouter") else "all others" for name in modules)
    assert {kind: counted[kind] for kind, most in MOST_MODULES.items() if counted[kind] > most} == {}
