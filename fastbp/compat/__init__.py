"""The modules of Michael Nielsen's book, under the names that older scripts import."""
