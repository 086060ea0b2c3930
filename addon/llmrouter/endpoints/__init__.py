"""What clients speak: one module per OpenAI endpoint, each turning a request into a Call and a Reply into bytes."""
