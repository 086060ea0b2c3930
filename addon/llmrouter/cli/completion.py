"""`llmrouter completion`: what a shell needs to complete this command."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Prints what completes this command at the Tab key.

    \b
    bash:  eval "$(llmrouter completion bash)"                in ~/.bashrc
    zsh:   eval "$(llmrouter completion zsh)"                 in ~/.zshrc
    fish:  llmrouter completion fish | source                 in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "llmrouter", "_LLMROUTER_COMPLETE").source())
