"""Which images are worth keeping while the arm moves."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import unknown_name
from drrobot_ros.estimation.calibration.frames import moment_positions, moment_velocities
from drrobot_ros.estimation.calibration.result import CalibrationCamera
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, ParameterColumns
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.tracked_camera import EPS2D
from drrobot_ros.splats.gaussians import INSET_PX

WIDTH, SPLATS = 80, 1500
#: What is known of an offset (rad), a camera's position (m) and turn (rad) before the first image.
PRIOR = (0.05, 0.1, 0.1)


@dataclasses.dataclass(frozen=True)
class KeyframeConfig:
    """When an image is kept."""

    min_gain: float = setting(
        2.0,
        "information that an image must add: mean shrinkage of the unknowns' standard deviations, "
        "in percent",
        minimum=0.0,
        maximum=100.0,
    )
    min_motion: float = setting(
        0.1,
        "some joint must have moved by this since every kept image",
        unit="rad or m",
        minimum=0.0,
        maximum=10.0,
    )
    max_speed: float = setting(
        0.1,
        "an arm that moves faster is not looked at; more where the lag is looked for",
        unit="rad/s or m/s",
        minimum=0.0,
        maximum=10.0,
    )
    min_visible: float = setting(
        0.005, "share of the image the robot must cover", minimum=0.0, maximum=1.0
    )
    min_sharpness: float = setting(
        0.3,
        "an image less sharp than this share of the sharpest kept is blurred",
        minimum=0.0,
        maximum=1.0,
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class KeyframeDecision:
    """Whether an image is kept.

    Attributes:
        accepted: it is.
        reason: why not, for people; empty where it is.
        gain: how much it shrinks the unknowns' standard deviations in the mean, percent; NaN where
            it was refused before that was looked at.
    """

    accepted: bool
    reason: str
    gain: float


class KeyframeSelector:
    """Keeps the images that tell something new, at the current guess of the cameras.

    Args:
        model: the robot.
        gaussians: its splats.
        cameras: what is known of each, by name; or of the only one.
        config: settings.
        offsets: whether joint offsets are looked for beside the cameras.

    Attributes:
        keyframes: the observations kept, one entry per moment.
    """

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        cameras: Mapping[str, CalibrationCamera] | CalibrationCamera,
        config: KeyframeConfig | None = None,
        *,
        offsets: bool = True,
    ) -> None:
        self.config = config or KeyframeConfig()
        named = {"camera": cameras} if isinstance(cameras, CalibrationCamera) else dict(cameras)
        self._names, self._cameras = list(named), list(named.values())
        self._model = model
        self._links = [-1 if c.link is None else model.link_index(c.link) for c in self._cameras]
        self._images = ImageModel(model.tree, gaussians.subset(SPLATS), model.nq, model.nv)
        self._inset_px = float(getattr(gaussians, "inset_px", INSET_PX))
        self._coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        self._columns = ParameterColumns.make(model.nv, np.full(model.nv, offsets), True)
        joints = model.nv if offsets else 0
        n = joints + 6 * len(self._cameras)
        sigma = np.full(n, PRIOR[0])
        for c in range(len(self._cameras)):
            first = joints + 6 * c
            sigma[first : first + 6] = np.repeat(PRIOR[1:], 3)
        self._joints = joints
        self.information: NDArray[np.float64] = np.diag(sigma**-2.0)
        self.keyframes: list[Observation | Sequence[Observation]] = []
        self._q: list[NDArray[np.float64]] = []
        self._last: tuple[float, NDArray[np.float64]] | None = None
        self._sharpness = np.zeros(len(self._cameras))

    def offer(self, observation: Observation | Sequence[Observation]) -> KeyframeDecision:
        """Keep an observation, or say why not.

        Args:
            observation: an image with joint positions, or one of each of several cameras.

        Raises:
            InputError: joint positions are missing or not finite, or an unknown camera.
        """
        images = [observation] if isinstance(observation, Observation) else list(observation)
        config = self.config
        q = moment_positions(self._model, len(self.keyframes), images)
        speed = self._speed(images, q)
        if speed > config.max_speed:
            return self._refused(
                f"the arm moves at {speed:.2g} rad/s; it must be slower than {config.max_speed:g}"
            )
        if self._q:
            moves = [np.abs(self._coordinates.difference(k, q)).max(initial=0.0) for k in self._q]
            if min(moves) < config.min_motion:
                return self._refused(
                    f"no joint is {config.min_motion:g} rad from where it was in a kept image "
                    f"(farthest: {min(moves):.2g})"
                )
        sharpness = self._sharpness.copy()
        added = np.zeros_like(self.information)
        visible = 0.0
        for image in images:
            c = self._camera(image)
            sharpness[c] = max(sharpness[c], _sharpness(image))
            if _sharpness(image) < config.min_sharpness * self._sharpness[c]:
                return self._refused("the image is blurred")
            covered, H = self._look(c, image, q)
            visible = max(visible, covered)
            index = [*range(self._joints), *range(first := self._joints + 6 * c, first + 6)]
            added[np.ix_(index, index)] += H
        if visible < config.min_visible:
            return self._refused(
                f"the robot covers {100 * visible:.1f} % of the image; it takes "
                f"{100 * config.min_visible:g} %"
            )
        total = self.information + added
        change = np.linalg.slogdet(total)[1] - np.linalg.slogdet(self.information)[1]
        gain = 100.0 * (1.0 - float(np.exp(-0.5 * change / len(total))))
        if gain < config.min_gain:
            return KeyframeDecision(
                False, f"it tells {gain:.2g} % more only; it takes {config.min_gain:g} %", gain
            )
        self.information, self._sharpness = total, sharpness
        self._q.append(q)
        self.keyframes.append(observation)
        return KeyframeDecision(True, "", gain)

    def _refused(self, reason: str) -> KeyframeDecision:
        return KeyframeDecision(False, reason, float("nan"))

    def _camera(self, image: Observation) -> int:
        if image.camera_name is None:
            return 0
        if image.camera_name not in self._names:
            raise unknown_name("camera", image.camera_name, self._names)
        return self._names.index(image.camera_name)

    def _speed(self, images: Sequence[Observation], q: NDArray[np.float64]) -> float:
        """Return the fastest joint's speed: as told, else from the last observation offered."""
        told = moment_velocities(self._model, len(self.keyframes), images)
        stamp, last = images[0].stamp_s, self._last
        self._last = (stamp, q)
        if told is not None:
            return float(np.abs(told).max(initial=0.0))
        if last is None or not 0.0 < stamp - last[0] < 0.5:
            return 0.0
        moved = self._coordinates.difference(last[1], q)
        return float(np.abs(moved).max(initial=0.0)) / (stamp - last[0])

    def _look(
        self, c: int, image: Observation, q: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        """Return the share of the image the robot covers, and what the image would tell."""
        camera = image.camera.resized(
            WIDTH, max(1, round(image.camera.height * WIDTH / image.camera.width))
        )
        bare = ImageTarget(
            K=camera.K,
            width=camera.width,
            height=camera.height,
            camera_link=self._links[c],
            inset_px=self._inset_px,
            eps2d=EPS2D,
        )
        T = np.asarray(self._cameras[c].T, np.float64)
        alpha = self._images.images(q, T, bare).alpha
        target = dataclasses.replace(bare, mask=alpha)
        H = self._images.evaluate(q, T, target, self._columns).H
        assert H is not None
        return float(alpha.mean()), H


def _sharpness(image: Observation) -> float:
    """Return the 99th percentile of the grey values' second derivative."""
    import cv2

    grey = cv2.cvtColor(image.image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (320, max(1, round(320 * grey.shape[0] / grey.shape[1]))))
    return float(np.percentile(np.abs(cv2.Laplacian(small, cv2.CV_32F)), 99))
