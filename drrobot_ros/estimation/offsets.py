"""Constant errors of encoders, from images of the robot in several poses and known cameras.

A calibration (:mod:`drrobot_ros.estimation.calibration`) that holds the cameras.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.estimation.calibration import CalibrationCamera, CalibrationConfig, calibrate
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.problem import StopReason

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class OffsetConfig:
    """How offsets are found from images."""

    fine_width: int = setting(
        640, "image width of the finest level", unit="px", minimum=40, maximum=4096
    )
    iterations: int = setting(8, "solver iterations per round", minimum=1, maximum=100)
    rounds: int = setting(
        4,
        "most times that the images' evidence is gathered again at each level, around the "
        "offsets found",
        minimum=1,
        maximum=20,
    )
    max_offset: float = setting(
        0.2, "largest offset looked for", unit="rad or m", minimum=1e-4, maximum=3.2
    )
    prior_sigma: float = setting(
        0.2, "usual size of an offset", unit="rad or m", minimum=1e-5, maximum=10.0
    )
    encoder_sigma_rad: float = setting(
        0.0, "noise of single readings, beside the offset", unit="rad or m", minimum=0.0
    )
    mask_sigma: float = setting(
        0.25, "noise of the silhouette, in units of coverage", minimum=0.01, maximum=10.0
    )
    parts_sigma: float = setting(
        0.35,
        "noise of the labels of the robot's parts, in units of coverage; 0: silhouette only",
        minimum=0.0,
        maximum=10.0,
    )
    robust: float = setting(
        1.5, "residuals beyond this many sigmas count linearly", minimum=0.1, maximum=100.0
    )
    image_weight: float = setting(0.1, "independent pixels per pixel", minimum=1e-5, maximum=1.0)
    depth_sigma_m: float = setting(
        0.01, "noise of depth where it is given; 0: depth is not used", unit="m", minimum=0.0
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True, eq=False)
class OffsetResult:
    """Offsets found.

    Attributes:
        offsets: [nv] to add to the readings, rad or m; 0 for joints that were held.
        std: [nv] standard deviations, 0 for joints that were held.
        covariance: [p,p] of the joints estimated, in the model's order.
        joint_names: the p joints estimated.
        residuals: [n] mean absolute silhouette error of each image over the robot's area, 0..1.
        residuals_before: the same at the readings as given.
        iterations: evaluations of all images.
        stop_reason: why the finest level ended.
        at_limit: joints whose offset is pressed against `max_offset` or the joint's limits.
    """

    offsets: Vector
    std: Vector
    covariance: Matrix
    joint_names: tuple[str, ...]
    residuals: Vector
    residuals_before: Vector
    iterations: int
    stop_reason: StopReason
    at_limit: tuple[str, ...]


def find_joint_offsets(
    model: Any,
    gaussians: Any,
    observations: Sequence[Observation],
    T_base_camera: Matrix,
    config: OffsetConfig | None = None,
    *,
    joints: Sequence[str] | None = None,
) -> OffsetResult:
    """Return the constant offsets of a robot's joints that explain images of it.

    Where an observation has a mask it is believed; else the robot is told from its surroundings by
    colour, around the estimate, and where one camera sees everything by the background learned.

    Args:
        model: the robot; its joints must all be of one number.
        gaussians: its splats.
        observations: images in different poses, each with all joint positions.
        T_base_camera: camera pose [4,4], or one per image [n,4,4].
        config: settings.
        joints: names of the joints to find; None: all. Others are held at their readings.

    Raises:
        InputError: readings that are missing, not finite or span more than a joint's limits, a
            wrong size, an unknown joint, a robot with ball or floating joints, or one that is in
            no image.
    """
    config = config or OffsetConfig()
    if not observations:
        raise InputError("no images: offsets need at least one, and poses that differ")
    T = np.asarray(T_base_camera, np.float64)
    if T.shape not in ((4, 4), (len(observations), 4, 4)) or not np.isfinite(T).all():
        raise InputError(
            f"T_base_camera must be finite, [4,4] or [{len(observations)},4,4], got {T.shape}"
        )
    # A camera that moves is another one at every image.
    poses = {"0": T} if T.ndim == 2 else {str(i): pose for i, pose in enumerate(T)}
    images = [
        dataclasses.replace(o, camera_name="0" if T.ndim == 2 else str(i))
        for i, o in enumerate(observations)
    ]
    found = calibrate(
        model,
        gaussians,
        images,
        {name: CalibrationCamera(pose, estimate=False) for name, pose in poses.items()},
        CalibrationConfig(
            estimate_camera=False,
            fine_width=config.fine_width,
            iterations=config.iterations,
            rounds=config.rounds,
            offset_sigma=config.prior_sigma,
            max_offset=config.max_offset,
            encoder_sigma_rad=config.encoder_sigma_rad,
            use_depth=config.depth_sigma_m > 0,
            mask_sigma=config.mask_sigma,
            parts_sigma=config.parts_sigma,
            depth_sigma_m=config.depth_sigma_m or 1.0,
            robust=config.robust,
            image_weight=config.image_weight,
            min_keyframes=1,
        ),
        joints=joints,
    )
    return OffsetResult(
        found.offsets,
        found.offset_std,
        found.covariance,
        found.joint_names,
        found.residuals,
        found.residuals_before,
        found.iterations,
        found.stop_reason,
        found.at_limit,
    )
