"""Visual control: pictures, tracks, videos, sentences, safety, closed loop.

    python benchmarks/control.py [--parts image,tracks,video,text,safety,servo]

Parts that are not run keep their rows in ``results/control.json``.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from common import QUICK, RESULTS, Benchmark

#: Each is ``control_<part>.py``, beside this file, with ``add_rows(bench)`` or ``rows(...)``.
PARTS = ("image", "tracks", "video", "text", "safety", "servo")
_HOSTILE = 300 if QUICK else 10_000


def add_part(bench: Benchmark, part: str) -> bool:
    """Add the rows of a part; return whether there is such a part."""
    if not (Path(__file__).parent / f"control_{part}.py").is_file():
        return False
    module: Any = importlib.import_module(f"control_{part}")
    if hasattr(module, "add_rows"):
        module.add_rows(bench)
    else:
        for row in module.rows(_HOSTILE) if part == "safety" else module.rows():
            bench.add(**row)
    return True


def main() -> int:
    """Measure; return 1 if a row is not ok."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of: {', '.join(PARTS)}")
    parts = [p for p in parser.parse_args().parts.split(",") if p]
    unknown = [p for p in parts if p not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}; valid: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    before = _known_rows()
    bench = Benchmark("control")
    order: dict[str, list[dict[str, Any]]] = {part: before.get(part, []) for part in PARTS}
    for part in parts:
        first = len(bench.rows)
        if not add_part(bench, part):
            print(f"no part {part!r} yet")
            continue
        order[part] = [{**row, "part": part} for row in bench.rows[first:]]
    bench.rows = [row for part in PARTS for row in order[part]]
    return bench.finish()


def _known_rows() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of an earlier run by their part; a quick run's are not kept for others."""
    try:
        known = json.loads((RESULTS / "control.json").read_text())
    except (OSError, ValueError):
        return {}
    if known["settings"].get("quick", False) != QUICK:
        return {}
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in known["rows"]:
        rows.setdefault(row.get("part", ""), []).append(row)
    return rows


if __name__ == "__main__":
    sys.exit(main())
