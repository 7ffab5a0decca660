"""The keyframes of a calibration, checked."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.exposure import exposed, gains_of
from drrobot_ros.estimation.calibration.result import CalibrationCamera, Matrix, Vector
from drrobot_ros.estimation.levels import Level, make_level
from drrobot_ros.estimation.manifold import inverse_se3
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.robot.plausible import check_positions

# A robot whose joints all stay within this does not move, rad or m.
STILL = 0.01


@dataclasses.dataclass(frozen=True)
class Frame:
    """One image: index of its moment and of its camera."""

    moment: int
    camera: int
    observation: Observation


class Frames:
    """All images, by moment and by camera.

    Args:
        model: the robot.
        observations: one entry per moment.
        cameras: what is known of the cameras.
        config: settings.

    Attributes:
        names: of the cameras.
        cameras: what is known of each.
        links: index of the link that carries each, -1: the base.
        q: joint positions as read [m,nq].
        velocity: joint velocities [m,nv]; None where nobody says.
        frames: the images, in the order of moments.

    Raises:
        InputError: anything that makes the images useless, in words.
    """

    def __init__(
        self,
        model: Any,
        observations: Sequence[Observation | Sequence[Observation]],
        cameras: Mapping[str, CalibrationCamera],
        config: CalibrationConfig,
    ) -> None:
        if not cameras:
            raise InputError("a calibration needs at least one camera")
        self.names = list(cameras)
        self.cameras = [_checked(name, camera) for name, camera in cameras.items()]
        self.links = [-1 if c.link is None else model.link_index(c.link) for c in self.cameras]
        if len(observations) < config.min_keyframes:
            raise InputError(
                f"{len(observations)} keyframes are too few: at least {config.min_keyframes} in "
                "different poses are needed"
            )
        moments = [[o] if isinstance(o, Observation) else list(o) for o in observations]
        self.frames = [
            Frame(i, self._camera(o), o) for i, moment in enumerate(moments) for o in moment
        ]
        self.q = np.stack([moment_positions(model, i, m) for i, m in enumerate(moments)])
        self.velocity = [moment_velocities(model, i, m) for i, m in enumerate(moments)]
        self._check(model, config)
        self._gains = np.ones((len(self.frames), 3))
        for c, link in enumerate(self.links):
            if link >= 0:
                continue
            index = self.of_camera(c)
            self._gains[index] = gains_of([self.frames[i].observation.image for i in index])

    def of_camera(self, camera: int) -> list[int]:
        """Return the indices of a camera's images."""
        return [i for i, f in enumerate(self.frames) if f.camera == camera]

    def extend(self, slides: int) -> None:
        """Append positions and velocities of a robot's slides, all at rest at 0."""
        self.q = np.pad(self.q, ((0, 0), (0, slides)))
        self.velocity = [None if v is None else np.pad(v, (0, slides)) for v in self.velocity]

    def masked(self, moment: int, config: CalibrationConfig) -> bool:
        """Return whether all images of a moment have a mask that is believed."""
        seen = [f.observation.mask is not None for f in self.frames if f.moment == moment]
        return config.use_mask and all(seen)

    def levels(self, width: int, config: CalibrationConfig) -> list[Level]:
        """Return every image resized to a width."""
        out = []
        for frame, gain in zip(self.frames, self._gains, strict=True):
            level = make_level(frame.observation, width)
            if (gain != 1.0).any():
                pixels = exposed(level.pixels, gain)
                color = pixels.astype(np.float32) * np.float32(1 / 255)
                level = dataclasses.replace(level, pixels=pixels, color=color)
            if not config.use_mask:
                level = dataclasses.replace(level, mask=None)
            if not config.use_depth:
                level = dataclasses.replace(level, depth=None)
            out.append(level)
        return out

    def _camera(self, observation: Observation) -> int:
        name = observation.camera_name
        if name is None:
            return 0
        if name not in self.names:
            raise unknown_name("camera", name, self.names)
        return self.names.index(name)

    def _check(self, model: Any, config: CalibrationConfig) -> None:
        check_positions(model, self.q, " of keyframe {}")
        span = np.ptp(self.q, axis=0)
        if len(self.q) > 1 and span.max(initial=0.0) < STILL:
            raise InputError(
                f"the robot never moves: over {len(self.q)} keyframes no joint position changes by "
                f"more than {span.max(initial=0.0):.2g}; move the arm between keyframes"
            )
        if config.estimate_lag and all(v is None or not np.any(v) for v in self.velocity):
            raise InputError(
                "a lag shows only while the arm moves: the keyframes have no joint_velocities"
            )
        links = model.forward_kinematics(torch.from_numpy(self.q)).numpy()
        for c, name in enumerate(self.names):
            images = self.of_camera(c)
            if not images:
                raise InputError(f"camera {name!r} has no image")
            if self.links[c] >= 0:
                continue
            view = inverse_se3(self.cameras[c].T)
            depth = np.concatenate(
                [links[self.frames[i].moment, :, :3, 3] @ view[2, :3] + view[2, 3] for i in images]
            )
            if depth.max() <= 0:
                raise InputError(
                    f"the pose given for camera {name!r} puts the robot behind it (by "
                    f"{-depth.max():.2f} m or more): T maps the camera's coordinates to the "
                    "base's, z looking forward; was its inverse given?"
                )


def _checked(name: str, camera: CalibrationCamera) -> CalibrationCamera:
    T = np.asarray(camera.T, np.float64)
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise InputError(f"the pose of camera {name!r} must be a finite 4x4 matrix, got {T}")
    if np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() > 1e-3:
        raise InputError(f"the pose of camera {name!r} must hold a rotation matrix")
    return dataclasses.replace(camera, T=T)


def moment_positions(model: Any, i: int, moment: Sequence[Observation]) -> Vector:
    """Return the checked joint positions of a moment."""
    if not moment:
        raise InputError(f"keyframe {i} has no image")
    q = next((o.joint_positions for o in moment if o.joint_positions is not None), None)
    if q is None or np.shape(q) != (model.nq,):
        raise InputError(
            f"keyframe {i} needs joint positions of all {model.nq} joints: "
            f"{', '.join(model.joint_names)}"
        )
    for k in np.flatnonzero(~np.isfinite(q)):
        names = model.joint_names
        name = names[k] if len(names) == len(q) else str(k)
        raise InputError(f"joint {name!r} of keyframe {i} is at {q[k]}, not a number")
    return np.asarray(q, np.float64)


def moment_velocities(model: Any, i: int, moment: Sequence[Observation]) -> Vector | None:
    """Return the checked joint velocities of a moment, None where nobody says."""
    v = next((o.joint_velocities for o in moment if o.joint_velocities is not None), None)
    if v is None:
        return None
    if np.shape(v) != (model.nv,) or not np.isfinite(v).all():
        raise InputError(f"joint_velocities of keyframe {i} must be {model.nv} finite numbers")
    return np.asarray(v, np.float64)


def stack(poses: Sequence[Matrix]) -> Matrix:
    """Return poses [c,4,4] as one array."""
    return np.stack([np.asarray(T, np.float64) for T in poses])
