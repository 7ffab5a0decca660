"""What every benchmark shares: timing, the table, the file of results.

A benchmark is a script that makes a ``Benchmark``, adds rows and returns ``finish()`` as its exit
status. ``QUICK=1`` in the environment asks for a run of under a minute.
"""

import dataclasses
import datetime
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
QUICK = os.environ.get("QUICK", "") not in ("", "0")


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of many runs of the same work; wall clock, and CPU of the whole process."""

    median_s: float
    iqr_s: float
    minimum_s: float
    cpu_median_s: float
    runs: int


def measure(
    work: Callable[[], Any],
    *,
    seconds: float = 1.0,
    warm_up: int = 3,
    min_runs: int = 5,
    max_runs: int = 500,
) -> Timing:
    """Run ``work`` a few times unmeasured, then for about ``seconds`` and at least ``min_runs``."""
    for _ in range(warm_up):
        work()
    wall: list[float] = []
    cpu: list[float] = []
    end = time.perf_counter() + seconds
    while len(wall) < min_runs or (time.perf_counter() < end and len(wall) < max_runs):
        cpu_start, start = time.process_time(), time.perf_counter()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    first, median, third = statistics.quantiles(wall, n=4)
    return Timing(median, third - first, min(wall), statistics.median(cpu), len(wall))


class Benchmark:
    """Rows of one benchmark, each with the floor it has to reach.

    Args:
        name: of the benchmark; the results go to ``benchmarks/results/<name>.json``.
        settings: whatever a reader needs to repeat it.
    """

    def __init__(self, name: str, **settings: Any):
        self.name = name
        self.settings = {"quick": QUICK, **settings}
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        name: str,
        value: float | None,
        unit: str,
        *,
        floor: float | None = None,
        better: str = "lower",
        **more: Any,
    ) -> None:
        """Add a row and print it.

        Args:
            name: what was measured.
            value: the result; None if it could not be measured, which fails a row with a floor.
            unit: of value and floor.
            floor: what must be reached, itself included; None for a row that only informs.
            better: "lower" or "higher".
            more: further entries of the row, e.g. ``iqr``.
        """
        if better not in ("lower", "higher"):
            raise ValueError(f"better must be 'lower' or 'higher', got {better!r}")
        ok = True
        if floor is not None:
            ok = value is not None and (value <= floor if better == "lower" else value >= floor)
        row = {"name": name, "value": value, "unit": unit, "floor": floor, "better": better}
        self.rows.append({**row, "ok": ok, **more})
        print(_line(self.rows[-1]), flush=True)

    def add_timing(
        self, name: str, timing: Timing, *, floor_ms: float | None = None, **more: Any
    ) -> None:
        """Add a row with a median in milliseconds."""
        extra = {
            "iqr": round(1e3 * timing.iqr_s, 4),
            "min": round(1e3 * timing.minimum_s, 4),
            "cpu": round(1e3 * timing.cpu_median_s, 4),
            "runs": timing.runs,
        }
        self.add(name, round(1e3 * timing.median_s, 4), "ms", floor=floor_ms, **extra, **more)

    def finish(self, *, keep_others: bool = False) -> int:
        """Print the table, write the results, return the exit status: 1 if a row is not ok.

        Args:
            keep_others: rows of the results there are stay, each with the commit and load it was
                measured at, where this run has none of their name.
        """
        result = {
            "commit": _git("rev-parse", "HEAD") + ("-dirty" if _git("status", "--short") else ""),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "settings": self.settings,
            "rows": self.rows,
        }
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        if keep_others and path.is_file():
            result["rows"] = _merged(json.loads(path.read_text()), self.rows)
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(f"\n{self.name}: commit {result['commit'][:12]}, {result['machine']['cpu']}")
        for row in self.rows:
            print(_line(row))
        failed = [row["name"] for row in self.rows if not row["ok"]]
        print(f"written: {path}")
        if failed:
            print("not ok: " + "; ".join(failed))
        return 1 if failed else 0


def _merged(before: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows there were, in their order, with those measured anew in their place."""
    anew = {row["name"]: row for row in rows}
    about = {"commit": before["commit"], "load": before["machine"]["load"]}
    merged = [anew.pop(row["name"], {**about, **row}) for row in before["rows"]]
    return [*merged, *anew.values()]


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores, load, versions."""
    cpu = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _line(row: dict[str, Any]) -> str:
    value = "not measured" if row["value"] is None else f"{row['value']:.4g} {row['unit']}"
    floor = ""
    if row["floor"] is not None:
        sign = "<=" if row["better"] == "lower" else ">="
        floor = f"{sign} {row['floor']:.4g}  {'ok' if row['ok'] else 'NOT OK'}"
    spread = f"(iqr {row['iqr']:.3g}, cpu {row['cpu']:.4g})" if "iqr" in row else ""
    return f"{row['name']:<58} {value:>16} {spread:<26} {floor}".rstrip()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown" if arguments[0] == "rev-parse" else ""
