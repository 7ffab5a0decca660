"""Show control by sight: a simulated arm with wrong encoders, brought to where a picture shows it.

Writes goal.png, control.png, control.mp4 and report.md.
"""

import argparse
from pathlib import Path

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.demo.control_config import ControlDemoConfig

SUMMARY = "a simulated arm with wrong encoders, brought to where a picture shows it"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_flags(parser, ControlDemoConfig)


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; return 1 if the arm did not end at its goal."""
    from drrobot_ros.demo.control_show import show_control

    files, reached = show_control(from_flags(ControlDemoConfig, options))
    print("written:")
    for file in files:
        print(f"  {Path(file)}")
    return 0 if reached else 1
