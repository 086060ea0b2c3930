"""What `llmrouter doctor` looks at, one kind of thing in each module."""
