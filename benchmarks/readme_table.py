"""The README's table of results, made from ``benchmarks/results/*.json``.

``python benchmarks/readme_table.py`` writes it between the README's two markers.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- results: benchmarks/readme_table.py -->", "<!-- end of results -->"
NAMES = ("live", "rasterize")


def table(results: Path = ROOT / "benchmarks" / "results") -> str:
    """Return the rows that count, and what they were measured on, as Markdown."""
    lines = ["| benchmark | | measured | floor |", "|---|---|---|---|"]
    notes = []
    for name in NAMES:
        path = results / f"{name}.json"
        if not path.is_file():
            continue
        result = json.loads(path.read_text())
        lines += [
            _row(name, row)
            for row in result["rows"]
            if row["floor"] is not None or row.get("shown")
        ]
        machine = result["machine"]
        quick = ", quick mode" if result["settings"].get("quick") else ""
        notes.append(
            f"`{name}`: {result['date'][:10]}, commit {result['commit'][:10]}, {machine['cpu']}, "
            f"{machine['cores']} cores, load {machine['load']:g}{quick}."
        )
    return "\n".join([*lines, "", *notes])


def _row(benchmark: str, row: dict[str, Any]) -> str:
    value = "not measured" if row["value"] is None else f"{row['value']:.3g} {row['unit']}"
    floor = ""
    if row["floor"] is not None:
        sign = "≤" if row["better"] == "lower" else "≥"
        floor = f"{sign} {row['floor']:g}" + ("" if row["ok"] else " (missed)")
    return f"| `{benchmark}` | {row['name']} | {value} | {floor} |"


def with_table(readme: str, new: str) -> str:
    """Return the README's text with another table."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def main() -> int:
    """Write the table into the README."""
    README.write_text(with_table(README.read_text(), table()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
