"""What the pose estimator needs of the library, so that tests can put something else there."""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Library:
    """The parts of the library behind the node.

    Attributes:
        load_robot: (settings, description or None) -> (model, gaussians).
        tracker: (model, gaussians, config, mounts by camera) -> tracker.
        config: the tracker's configuration class.
        observation: class of what the tracker is given.
        mount: (link, estimate) -> how a camera is mounted.
    """

    load_robot: Callable[..., tuple[Any, Any]]
    tracker: Callable[..., Any]
    config: type
    observation: Callable[..., Any]
    mount: Callable[..., Any]


def default_library() -> Library:
    """Return the real parts."""
    import torch

    from drrobot_ros.estimation import CameraMount, Observation, Tracker, TrackerConfig
    from drrobot_ros.ros.robots import load_robot

    # Torch only prepares the model; its idle threads would take cores from the C++ kernels.
    torch.set_num_threads(1)
    return Library(load_robot, Tracker, TrackerConfig, Observation, CameraMount)
