"""The `llmrouter` command itself."""

import click

from llmrouter import __version__
from llmrouter.cli.cache import cache
from llmrouter.cli.config import config
from llmrouter.cli.explain import explain
from llmrouter.cli.prices import prices
from llmrouter.cli.providers import providers
from llmrouter.cli.savings import savings
from llmrouter.cli.serve import serve
from llmrouter.cli.usage import usage


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="llmrouter")
def main() -> None:
    """Answers OpenAI API calls from the cheapest provider that is healthy and able."""


main.add_command(cache)
main.add_command(config)
main.add_command(explain)
main.add_command(prices)
main.add_command(providers)
main.add_command(savings)
main.add_command(serve)
main.add_command(usage)
