"""What a run over random cases has found so far."""

import collections


class Report:
    """The number of cases, counts of what was done with them, and texts about those that were wrong.

    It is shown as "12 cases, 1 mismatches (threads 4)", in words for both.
    """

    def __init__(self, noun: str = "cases", fault: str = "mismatches") -> None:
        self.cases = 0
        self.counts: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self._noun, self._fault = noun, fault

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        return f"{self.cases} {self._noun}, {len(self.wrong)} {self._fault} ({counts})"

    def tell(self, text: str) -> None:
        """Adds a text about a case that was wrong, and prints it."""
        self.wrong.append(text)
        print(text, flush=True)
