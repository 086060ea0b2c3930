"""README and docs: their links lead somewhere, their commands exist, and their YAML is right."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from llmrouter.brands import BRANDS
from llmrouter.cli.main import main
from llmrouter.settings.loader import load_settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(
    r"(?<![\w./-])(?:\.venv/bin/)?llmrouter ((?:[a-z]+)(?: [a-z]+)?)((?: --?[a-z][\w-]*(?: [^-`\s|]\S*)?)*)"
)
_OPTION = re.compile(r" (--?[a-z][\w-]*)")
_YAML = re.compile(r"\n\n((?: {4}\S.*\n(?: {4,}.*\n)*)+)")
_SETTINGS = ("providers:", "routes:", "cache:", "metrics:", "telemetry:", "policy:")


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


def snippets() -> list[tuple[str, str]]:
    return [
        (document.name, block)
        for document in DOCUMENTS
        for block in _YAML.findall(text_of(document))
        if block.strip().startswith(_SETTINGS)
    ]


def test_settings_that_are_shown_are_right(tmp_path: Path) -> None:
    assert len(snippets()) > 3
    for number, (name, block) in enumerate(snippets()):
        settings = yaml.safe_load(block)
        whole = {"providers": [{"type": "echo", "model": "m"}]} | settings
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(whole))
        assert load_settings(file, BRANDS).providers, name
