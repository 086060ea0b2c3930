"""The `llmrouter` command itself."""

import importlib
from collections.abc import Mapping

import click

from llmrouter import __version__

_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Run": ("serve", "run", "env"),
    "Look": ("doctor", "explain", "providers", "models", "prices", "usage", "savings"),
    "Look after": ("config", "ca", "access", "cache", "completion"),
}
"""The commands by what they are for; each is the object of its own name in its own module."""


class _Sections(click.Group):
    """A group whose commands are imported when they are asked for, and listed by what they are for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in _SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(importlib.import_module(f"llmrouter.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in _SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl([(name, command.get_short_help_str(200)) for name, command in commands if command])


@click.group(cls=_Sections, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="llmrouter")
def main() -> None:
    """Answers OpenAI API calls from the cheapest provider that is healthy and able.

    \b
    Try it:   llmrouter run -- python app.py
    Keep it:  llmrouter serve
    """
