"""What a calibration looks for, as problems for the solver."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.frames import Frames
from drrobot_ros.estimation.calibration.loose import LooseRobot
from drrobot_ros.estimation.calibration.result import Vector
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.problem import CameraPrior, CameraUnknown, Moment, Problem, View


class Unknowns:
    """The joint offsets, camera poses and lags that are looked for, and what is known of them.

    Args:
        model: the robot.
        robot: the same with loose links.
        frames: the keyframes, their joints as long as those of the loose robot.
        config: settings.
        joints: names of the joints whose offset is looked for; None: all.

    Attributes:
        joints: whether the offset of each velocity is looked for [nv of the loose robot].
        coordinates: of the loose robot.

    Raises:
        InputError: an unknown joint, joints that are not one number each, or readings that no
            offset brings within a joint's limits.
    """

    def __init__(
        self,
        model: Any,
        robot: LooseRobot,
        frames: Frames,
        config: CalibrationConfig,
        joints: Sequence[str] | None,
    ) -> None:
        self._model, self._robot, self._frames, self._config = model, robot, frames, config
        self.coordinates = Coordinates.of(robot.tree, robot.nq, robot.nv)
        self.joints = np.pad(self._free_joints(joints), (0, robot.slides))
        self._check_offsets()

    def free_camera(self, c: int) -> bool:
        """Return whether a camera's pose is looked for."""
        own = self._frames.cameras[c].estimate
        return self._config.estimate_camera if own is None else own

    def camera_sigma(self, c: int) -> Vector:
        """Return how far a camera's start may be off, of the twist (v, w) [6], m and rad."""
        camera, config = self._frames.cameras[c], self._config
        known = [camera.sigma_m or config.start_sigma_m, camera.sigma_rad or config.start_sigma_rad]
        return np.repeat(np.asarray(known, np.float64), 3)

    def problem(
        self,
        views: Sequence[Sequence[View]] | None = None,
        *,
        offsets: bool = True,
        lags: bool = True,
        loose: bool = True,
    ) -> Problem:
        """Return what the solver is asked.

        Args:
            views: of every moment; None: none.
            offsets: whether joint offsets are free.
            lags: whether lags are free where the configuration asks for them.
            loose: whether links may lie beside their meshes.
        """
        config, frames = self._config, self._frames
        lag = lags and config.estimate_lag
        each = views if views is not None else [[]] * len(frames.q)
        moments = [
            Moment(q, v, velocity, self._sigma(i, loose))
            for i, (q, v, velocity) in enumerate(zip(frames.q, each, frames.velocity, strict=True))
        ]
        unknowns = []
        for c, camera in enumerate(frames.cameras):
            # What many images show outweighs this by far; a single one does not tell a turn from a
            # shift, and needs it.
            prior = CameraPrior(camera.T, self.camera_sigma(c))
            unknowns.append(
                CameraUnknown(
                    camera.T, self.free_camera(c), prior, camera.lag_s, lag, config.lag_sigma_s
                )
            )
        nv = self._robot.nv
        return Problem(
            moments,
            unknowns,
            self.joints if offsets else np.zeros(nv, bool),
            self._robot.lower,
            self._robot.upper,
            np.full(nv, config.offset_sigma),
            config.max_offset,
            config.image_weight,
        )

    def _sigma(self, moment: int, loose: bool) -> Vector | None:
        """Return how far joints and links of one moment may be from what is read and drawn."""
        slides = self._robot.slides
        sigma = np.full(self._robot.nv, self._config.encoder_sigma_rad)
        sigma[len(sigma) - slides :] = 0.0
        # Masks are believed: what they leave out would only drag the links along.
        if loose and slides and not self._frames.masked(moment, self._config):
            sigma[len(sigma) - slides :] = self._config.slide_sigma_m
        return sigma if sigma.any() else None

    def _free_joints(self, joints: Sequence[str] | None) -> NDArray[np.bool_]:
        model = self._model
        names = model.joint_names
        for name in joints if joints is not None else ():
            if name not in names:
                raise unknown_name("joint", name, names)
        free = np.zeros(model.nv, bool)
        if not self._config.estimate_offsets:
            return free
        scalar = model.nq == len(names) and model.nv == model.nq
        if not scalar:
            raise InputError(
                f"{model.name!r} has ball or floating joints; offsets are one number per joint"
            )
        wanted = np.array([joints is None or name in joints for name in names])
        free[:] = wanted[self.coordinates.v_to_q[: model.nv]]
        return free

    def _check_offsets(self) -> None:
        """Raise where no offset brings a joint's readings within its limits."""
        model, q, reach = self._model, self._frames.q, self._config.max_offset
        for j in np.flatnonzero(self.joints):
            k = self.coordinates.v_to_q[j]
            low, high = float(model.lower[k]) - q[:, k].min(), float(model.upper[k]) - q[:, k].max()
            slack = 3 * self._config.encoder_sigma_rad
            if max(low, -reach) > min(high, reach) + slack:
                raise InputError(
                    f"no offset up to {reach:g} brings the readings of joint "
                    f"{model.joint_names[k]!r} ({q[:, k].min():.4g} to {q[:, k].max():.4g}) into "
                    f"its limits ({model.lower[k]:.4g} to {model.upper[k]:.4g})"
                )
