"""Files that nobody should be able to harm a reader with: drawn from a grammar, read, and judged."""
