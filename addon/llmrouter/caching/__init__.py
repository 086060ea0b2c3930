"""Answers that were given before: when they count, where they are kept, and how they are given again."""
