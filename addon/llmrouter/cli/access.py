"""`llmrouter access`: keys that let clients into a router which listens beyond this machine."""

import json
import secrets

import click

from llmrouter.cli.own_configuration import json_option

_BYTES = 32


@click.group()
def access() -> None:
    """Makes keys that let clients into a router which listens beyond this machine."""


@access.command()
@json_option
def new(as_json: bool) -> None:
    """Makes a key, and prints it once with the hash that goes into the configuration.

    The key is for the client: the password of the proxy, or the OpenAI key of an app that uses the API port. It is not
    kept anywhere.
    """
    from llmrouter.proxy.access import hash_of_key  # it imports mitmproxy, which takes a second

    key = secrets.token_urlsafe(_BYTES)
    told = hash_of_key(key)
    if as_json:
        click.echo(json.dumps({"key": key, "hash": told}, indent=2))
        return
    click.echo(f"The key, for the client, shown this once:\n\n    {key}\n")
    click.echo(f'Its hash, for the configuration:\n\n    access: {{keys: ["{told}"]}}')
