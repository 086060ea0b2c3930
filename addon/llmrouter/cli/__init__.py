"""The `llmrouter` command, one module per subcommand."""
