"""Show the estimator at work: a simulated arm and camera, and the real nodes over DDS.

Writes overlay.png, overlay.mp4 and report.md.
"""

import argparse
from pathlib import Path

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.demo.config import DemoConfig

SUMMARY = "a simulated arm, and the estimator finding it from images"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_flags(parser, DemoConfig)


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; return 1 if the arm was not found."""
    from drrobot_ros.demo.show import show

    config = from_flags(DemoConfig, options)
    files, found = show(config)
    print("written:")
    for file in files:
        print(f"  {Path(file)}")
    return 0 if found else 1
