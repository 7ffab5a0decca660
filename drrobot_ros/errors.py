"""The errors a user of drrobot_ros can meet."""

from collections.abc import Iterable


class DrRobotError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(DrRobotError, ValueError):
    """Input that cannot be used; the message names the bad value and the valid ones."""


class ModelError(InputError):
    """A robot description that cannot be loaded."""


class BackendError(DrRobotError, RuntimeError):
    """A part that is not built or not installed; the message names the command that mends it."""


def unknown_name(kind: str, name: object, valid: Iterable[object]) -> InputError:
    """Return an error that names the unknown value and every valid one.

    Args:
        kind: what was looked up, e.g. ``"joint"``.
        name: the value that is unknown.
        valid: the values that would have been accepted.
    """
    listing = ", ".join(str(v) for v in valid) or "none"
    return InputError(f"unknown {kind} {str(name)!r}; valid: {listing}")
