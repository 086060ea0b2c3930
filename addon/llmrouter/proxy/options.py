"""The options that the router adds to mitmproxy's own."""

from mitmproxy.addonmanager import Loader


def add_options(loader: Loader) -> None:
    """Adds them, to be set by `--set` or in mitmproxy's own configuration file."""
    loader.add_option("llmrouter_config", str, "", "The router's configuration file; default: config/providers.yaml.")
    loader.add_option("llmrouter_api_port", int, 8000, "The port of the OpenAI API beside the proxy; 0 for none.")
    loader.add_option("llmrouter_certs", str, "", "Where the router keeps its CA; default: the repository's certs/.")
    loader.add_option(
        "llmrouter_indexed_dispatch",
        bool,
        True,
        "Look up once which addons have which hook, not at each event, and call those that wait for nothing at once.",
    )
