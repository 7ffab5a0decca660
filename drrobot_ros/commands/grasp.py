"""Grasp an object that was seen by one RGB-D image: a simulated arm, camera and objects.

Writes pictures of every stage, the reconstructed scene, grasp.mp4 and report.md.
"""

import argparse
from pathlib import Path

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.demo.grasp_cell import GraspDemoConfig

SUMMARY = "a simulated arm grasps what it reconstructed from one RGB-D image"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_flags(parser, GraspDemoConfig)


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; return 1 if the object was not lifted and held."""
    from drrobot_ros.demo.grasp_show import show

    config = from_flags(GraspDemoConfig, options)
    files, held = show(config)
    print("written:")
    for file in files:
        print(f"  {Path(file)}")
    return 0 if held else 1
