"""Run one of the repository's benchmarks; QUICK=1 in the environment: in under a minute."""

import argparse
import subprocess
import sys
from pathlib import Path

from drrobot_ros.errors import InputError, unknown_name

SUMMARY = "run a benchmark"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("name", nargs="?", default="", help="of the benchmark; none: list them")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the benchmark itself")


def run(options: argparse.Namespace) -> int:
    """Run the benchmark; return its exit status."""
    folder = benchmark_folder()
    names = benchmark_names(folder)
    if not options.name:
        print("\n".join(names))
        return 0
    if options.name not in names:
        raise unknown_name("benchmark", options.name, names)
    script = folder / f"{options.name}.py"
    return subprocess.run([sys.executable, str(script), *options.arguments], check=False).returncode


def benchmark_folder() -> Path:
    """Return the folder ``benchmarks`` of the checkout.

    Raises:
        InputError: the package was installed without it.
    """
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (root / "benchmarks" / "common.py").is_file():
            return root / "benchmarks"
    raise InputError("the benchmarks are not here: run this in a checkout of drrobot_ros")


def benchmark_names(folder: Path) -> list[str]:
    """Return the names of the scripts in a folder that are benchmarks."""
    scripts = sorted(folder.glob("*.py"))
    return [s.stem for s in scripts if "__main__" in s.read_text()]
