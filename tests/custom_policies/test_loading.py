"""A file that cannot be used is an error of the settings, at the place that names it."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from llmrouter.brands import BRANDS
from llmrouter.custom_policies.loading import CustomPolicies
from llmrouter.routing.policies import CallFacts, Candidate
from llmrouter.settings.loader import parse_settings
from llmrouter.settings.problems import SettingsError
from tests.routing.samples import target_of

GOOD = """
from __future__ import annotations
import dataclasses

MADE = []

@dataclasses.dataclass
class Row:
    value: int

class Mine:
    def __init__(self):
        MADE.append(self)
    def order(self, call, candidates):
        return candidates[::-1]

class Other(Mine):
    pass
"""
SETTINGS = "providers:\n  - type: echo\npolicy: mine.py:Mine\n"


def load(folder: Path, source: str | None = GOOD, settings: str = SETTINGS, loading_s: float = 30.0) -> CustomPolicies:
    """The policies of such settings, whose folder holds such a mine.py."""
    if source is not None:
        (folder / "mine.py").write_text(source)
    custom = CustomPolicies(folder, Counter(), loading_s=loading_s)
    parse_settings(settings, "f.yaml", BRANDS, custom.load)
    return custom


def problems(folder: Path, source: str | None, settings: str = SETTINGS) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load(folder, source, settings)
    return [str(problem).replace(f"{folder}/", "") for problem in raised.value.problems]


def test_a_class_is_found_beside_the_settings(tmp_path: Path) -> None:
    policy = load(tmp_path).policies["mine.py:Mine"]
    given = [Candidate(target_of(f"{name}/m"), 0) for name in "ab"]
    assert policy.order(given, CallFacts("m", 0.0, 1, 1)) == given[::-1]


def test_a_path_may_be_absolute(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    name = f"{tmp_path}/mine.py:Mine"
    custom = load(tmp_path / "elsewhere", None, f"providers:\n  - type: echo\npolicy: '{name}'\n")
    assert list(custom.policies) == [name]


def test_a_class_is_made_once_however_often_it_is_named(tmp_path: Path) -> None:
    source = GOOD.replace("MADE.append(self)", "Path(__file__).with_name(type(self).__name__).open('x').close()")
    routes = "routes: [{model: a, policy: mine.py:Mine}, {model: b, policy: mine.py:Other}]\n"
    custom = load(tmp_path, source.replace("MADE = []", "from pathlib import Path"), SETTINGS + routes)
    assert list(custom.policies) == ["mine.py:Mine", "mine.py:Other"]
    assert {file.name for file in tmp_path.iterdir()} == {"mine.py", "Mine", "Other"}


def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    """Even where it changed within one tick of the clock, to the same length."""
    load(tmp_path, GOOD.replace("Mine", "Ours"), SETTINGS.replace("Mine", "Ours"))
    assert list(load(tmp_path, GOOD).policies) == ["mine.py:Mine"]
    assert not (tmp_path / "__pycache__").exists()


HEAD = "f.yaml:3:1: policy: "
MISTAKES: dict[str, tuple[str | None, str]] = {
    "no file": (None, "mine.py cannot be read: No such file or directory"),
    "no Python": (
        "x = 1\ndef (:\n",
        "mine.py cannot be run: SyntaxError: invalid syntax (mine.py, line 2)",
    ),
    "not text": ("x\0", "mine.py cannot be run: SyntaxError"),
    "an exception": ("\n1 / 0\n", "mine.py cannot be run: ZeroDivisionError: division by zero (mine.py, line 2)"),
    "an exit": ("raise SystemExit(0)\n", "mine.py cannot be run: SystemExit: 0 (mine.py, line 1)"),
    "a missing import": ("import no_such_module\n", "mine.py cannot be run: ModuleNotFoundError: No module"),
    "no such class": (GOOD.replace("Mine", "Ours"), "mine.py has no class Mine; there are: Ours, Other"),
    "no class at all": ("Mine = 5\n", "mine.py has no class Mine; a class with a method order(call, candidates) is"),
    "no method": ("class Mine: pass\n", "the class Mine needs a method order(call, candidates) that is not async"),
    "an async method": (
        "class Mine:\n    async def order(self, call, candidates): pass\n",
        "the class Mine needs a method order(call, candidates) that is not async",
    ),
    "too few parameters": (
        "class Mine:\n    def order(self, candidates): pass\n",
        "the class Mine cannot be used: TypeError: too many positional arguments",
    ),
    "arguments wanted": (
        "class Mine:\n    def __init__(self, a): pass\n    def order(self, call, candidates): pass\n",
        "the class Mine cannot be used: TypeError: ",
    ),
    "a constructor that raises": (
        "class Mine:\n    def __init__(self): raise OSError('x')\n    def order(self, call, candidates): pass\n",
        "the class Mine cannot be used: OSError: x (mine.py, line 2)",
    ),
}


@pytest.mark.parametrize(("source", "told"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(source: str | None, told: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, source)
    assert problem.startswith(HEAD + told)


def test_each_place_that_names_a_bad_class_is_told(tmp_path: Path) -> None:
    routes = "routes:\n  - {model: '*', policy: mine.py:Mine}\n"
    told = [problem.split(": ")[:2] for problem in problems(tmp_path, None, SETTINGS + routes)]
    assert told == [["f.yaml:3:1", "policy"], ["f.yaml:5:18", "routes[0].policy"]]


def test_a_file_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(threading, "release_of_test", release, raising=False)
    try:
        with pytest.raises(SettingsError, match=r"mine\.py is not ready within 0\.01 seconds"):
            load(tmp_path, "import threading\nthreading.release_of_test.wait(30)\n", loading_s=0.01)
    finally:
        release.set()


@pytest.mark.parametrize("name", ["mine.py:", "mine.py", "mine.py:My Class", "mine.py:Mine\\r\\nx: y", "mïne.py:Mine"])
def test_what_is_no_path_with_a_class_is_told_before_any_file_is_read(name: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, None, f'providers:\n  - type: echo\npolicy: "{name}"\n')
    assert problem == HEAD + "a class of your own is written path/to/file.py:Class, in plain ASCII letters"
