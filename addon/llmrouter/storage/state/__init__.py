"""What clients have kept here: responses, conversations, assistants, threads, runs; as documents, by caller."""
