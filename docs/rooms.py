"""Draws docs/design/rooms.svg, the import graph of the package room by room: ``python docs/rooms.py``."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "design" / "rooms.svg"
INK, LATE = (
    "#808a94",
    "4 3",
)  # a gray that is read on white and on black; dashes of late imports
WIDTH, HEIGHT, GAP_X, GAP_Y = 84, 30, 10, 28  # of a box, and between boxes
PLACES = {  # of the boxes: column and row
    "cli": (0, 0),
    "compat": (1, 0),
    "sklearn": (2, 0),
    "interop": (3, 0),
    "datasets": (1, 1),
    "ensemble": (2, 1),
    "plot": (3, 1),
    "export": (0, 2),
    "network": (2, 2),
    "training": (2, 3),
    "files": (2, 4),
    "engine": (2, 5),
    "data": (2, 6),
    "options": (2, 7),
}


def imports(package: Path) -> dict[str, dict[str, bool]]:
    """Maps each room to the rooms that it imports, and each of these to whether that happens only late."""
    files = [
        path
        for path in package.rglob("*.py")
        if path.parent != package or path.name[0] != "_"
    ]
    rooms = {
        path.relative_to(package).parts[0].removesuffix(".py") for path in files
    }
    graph: dict[str, dict[str, bool]] = {room: {} for room in rooms}
    for path in files:
        parts = path.relative_to(package).with_suffix("").parts
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            module = (node.module or "").split(".")
            if node.level:
                base = [*parts[: len(parts) - node.level], *module]
            elif module[0] == package.name and len(module) > 1:
                base = module[1:]
            else:
                continue
            for name in (
                [base[0]] if base[0] else [alias.name for alias in node.names]
            ):
                if name in rooms and name != parts[0]:
                    late = node not in tree.body
                    graph[parts[0]][name] = (
                        graph[parts[0]].get(name, True) and late
                    )
    return graph


def reduced(graph: dict[str, dict[str, bool]]) -> dict[str, dict[str, bool]]:
    """The graph without arrows that follow from others."""

    def reach(room: str) -> set[str]:
        return {room}.union(*map(reach, graph[room]))

    return {
        room: {
            other: late
            for other, late in others.items()
            if not any(other in reach(third) for third in others if third != other)
        }
        for room, others in graph.items()
    }


def svg(package: Path = ROOT / "fastbp") -> str:
    """The picture as text."""
    graph = reduced(imports(package))

    def corner(room: str) -> tuple[int, int]:
        column, row = PLACES[room]
        return 2 + column * (WIDTH + GAP_X), 2 + row * (HEIGHT + GAP_Y)

    lines = []
    for room, others in sorted(graph.items()):
        for other, late in sorted(others.items()):
            (x1, y1), (x2, y2) = corner(room), corner(other)
            dashes = f' stroke-dasharray="{LATE}"' * late
            ends = f'x1="{x1 + WIDTH // 2}" y1="{y1 + HEIGHT}" x2="{x2 + WIDTH // 2}" y2="{y2 - 2}"'
            lines.append(
                f'<line {ends} stroke="{INK}" marker-end="url(#tip)"{dashes}/>'
            )
    for room in sorted(graph):
        x, y = corner(room)
        size = f'width="{WIDTH}" height="{HEIGHT}" rx="4"'
        lines.append(f'<rect x="{x}" y="{y}" {size} fill="none" stroke="{INK}"/>')
        middle = f'x="{x + WIDTH // 2}" y="{y + HEIGHT // 2 + 5}" text-anchor="middle" fill="{INK}"'
        lines.append(f"<text {middle}>{room}</text>")
    width = max(corner(room)[0] for room in graph) + WIDTH + 2
    height = max(corner(room)[1] for room in graph) + HEIGHT + 2
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{INK}"/></marker>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    head += (
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="14">'
    )
    return "\n".join([head, f"<defs>{tip}</defs>", *lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(svg(), "utf-8")
