"""The command ``drrobot``."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from drrobot_ros.errors import DrRobotError

#: Each is a module of ``drrobot_ros.commands`` with SUMMARY, ``configure`` and ``run``.
COMMANDS = (
    "demo",
    "estimate",
    "calibrate",
    "optimize",
    "control",
    "grasp",
    "reconstruct",
    "identify",
    "train",
    "evaluate",
    "adapt",
    "view",
    "bench",
    "info",
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="drrobot",
        description="Estimates a robot's joint angles and the camera pose from images.",
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"drrobot_ros.commands.{name}")
        sub = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.__doc__,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        module.configure(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 2 where the input cannot be used.

    Args:
        arguments: without the program's name; None: those of the process.
    """
    options = make_parser().parse_args(arguments)
    try:
        return options.run(options)
    except DrRobotError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
