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


@dataclasses.dataclass(frozen=True)
class CalibrationLibrary:
    """The parts of the library behind the node ``calibrator``.

    Attributes:
        load_robot: (settings, description or None) -> (model, gaussians).
        config: the configuration class of the calibration.
        observation: class of an image with what belongs to it.
        camera: (T, link, estimate, lag_s) -> what is known of a camera beforehand.
        frames: (optical) -> the names of a camera's frames.
        keyframe_config: the configuration class of the choice of keyframes.
        selector: (model, gaussians, cameras, keyframe_config, offsets) -> what chooses them.
        calibrate: solves.
        write: writes the files.
    """

    load_robot: Callable[..., tuple[Any, Any]]
    config: type
    observation: Callable[..., Any]
    camera: Callable[..., Any]
    frames: Callable[..., Any]
    keyframe_config: type
    selector: Callable[..., Any]
    calibrate: Callable[..., Any]
    write: Callable[..., Any]


def calibration_library() -> CalibrationLibrary:
    """Return the real parts."""
    import torch

    from drrobot_ros.estimation import Observation, calibration
    from drrobot_ros.estimation.calibration.files import FrameNames, write_calibration
    from drrobot_ros.ros.robots import load_robot

    torch.set_num_threads(1)
    return CalibrationLibrary(
        load_robot,
        calibration.CalibrationConfig,
        Observation,
        calibration.CalibrationCamera,
        FrameNames,
        calibration.KeyframeConfig,
        calibration.KeyframeSelector,
        calibration.calibrate,
        write_calibration,
    )


def default_library() -> Library:
    """Return the real parts."""
    import torch

    from drrobot_ros.estimation import CameraMount, Observation, Tracker, TrackerConfig
    from drrobot_ros.ros.robots import load_robot

    # Torch only prepares the model; its idle threads would take cores from the C++ kernels.
    torch.set_num_threads(1)
    return Library(load_robot, Tracker, TrackerConfig, Observation, CameraMount)
