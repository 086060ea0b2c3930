"""README and docs: links lead somewhere, what is named exists, and settings that are shown are right."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import click
import pytest

from llmrouter.brands import BRANDS
from llmrouter.cli.main import main
from llmrouter.settings.loader import parse_settings
from llmrouter.settings.model import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(
    r"(?<![\w./-])(?:\.venv/bin/)?llmrouter ((?:[a-z]+)(?: [a-z]+)?)((?: --?[a-z][\w-]*(?: [^-`\s|]\S*)?)*)"
)
_OPTION = re.compile(r" (--?[a-z][\w-]*)")
_YAML = re.compile(r"\n\n((?: {4}\S.*\n(?: {4,}.*\n)*)+)")


def text_of(document: Path) -> str:
    return document.read_text()


def anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text_of(document), re.MULTILINE)
    return {"".join(c for c in t.lower().replace(" ", "-") if c.isalnum() or c in "-_") for t in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in _LINK.findall(text_of(document)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def commands(document: Path) -> Iterator[tuple[str, list[str]]]:
    for words, options in _COMMAND.findall(text_of(document)):
        yield words, _OPTION.findall(options)


def known(words: str, options: list[str]) -> bool:
    """Whether these words name a command that has all these options."""
    command: click.Command = main
    context = click.Context(main)
    for word in words.split():
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        if found is None:
            return False
        command = found
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return set(options) <= names | {"--help"}


def test_commands_exist() -> None:
    named = [(path.name, *one) for path in DOCUMENTS for one in commands(path)]
    assert len(named) > 40
    assert [one for one in named if not known(one[1], one[2])] == []


def settings_shown() -> list[tuple[str, str]]:
    """All that stands there as settings: blocks that begin with a key of the file, and the same in running text."""
    keys = "|".join(Settings.model_fields)
    begins, inline = re.compile(rf"(?:{keys}):"), re.compile(rf"`((?:{keys}): [^`]+)`")
    found = []
    for document in DOCUMENTS:
        blocks = [dedent(block) for block in _YAML.findall(text_of(document)) if begins.match(block.strip())]
        found += [(document.name, text) for text in [*blocks, *inline.findall(text_of(document))] if "..." not in text]
    return found


def test_settings_that_are_shown_are_right() -> None:
    assert len(settings_shown()) > 40
    for name, text in settings_shown():
        whole = text if re.search("^providers:", text, re.MULTILINE) else f"providers: [{{type: echo}}]\n{text}"
        assert parse_settings(whole, name, BRANDS).providers


def source() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "addon").rglob("*.py"))


def test_commands_of_mitmproxy_are_those_that_there_are() -> None:
    there = set(re.findall(r"command\.command\(\"(llmrouter\.[a-z.]+)\"", source()))
    told = set(re.findall(r"`(llmrouter(?:\.[a-z]+)+)[ `]", text_of(ROOT / "docs" / "operating.md")))
    assert told == there
    everywhere = {name for one in DOCUMENTS for name in re.findall(r"`(llmrouter(?:\.[a-z]+)+)[ `]", text_of(one))}
    assert everywhere <= there


@pytest.mark.parametrize(
    "name", [r"x-llmrouter-[a-z]+[a-z-]*", r"LLMROUTER_(?!BENCH_)[A-Z]+[A-Z_]*", r"\bllmrouter_[a-z_]+"]
)
def test_headers_variables_options_and_figures_are_those_that_there_are(name: str) -> None:
    code = source() + "".join(path.read_text() for path in (ROOT / "scripts").rglob("*.py"))
    told = {found for document in DOCUMENTS for found in re.findall(name, text_of(document))}
    assert told
    assert {found for found in told if found not in code} == set()


def test_files_that_are_named_are_there() -> None:
    path = re.compile(r"(?<![\w./-])((?:addon|config|docs|examples|scripts|tests)/[\w./-]*\w)")
    named = {found for document in DOCUMENTS for found in path.findall(text_of(document))}
    assert len(named) > 20
    # What a user writes is not there yet.
    assert {found for found in named if not (ROOT / found).exists()} <= {"config/providers.yaml"}
