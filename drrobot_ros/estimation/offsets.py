"""Constant errors of encoders, from images of the robot in several poses.

Every image sees the robot at its readings plus the same offsets, so the normal equations of all
images add up to one small Levenberg-Marquardt problem, solved from coarse to fine.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.estimation.levels import Level, make_level
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, ParameterColumns
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.problem import StopReason
from drrobot_ros.estimation.search import palette_of
from drrobot_ros.estimation.segmentation import part_labels
from drrobot_ros.estimation.silhouette import SilhouetteSource

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

COARSE_WIDTH, COARSE_SPLATS = 80, 2000
MIDDLE_WIDTH = 320
EPS2D = 0.3


@dataclasses.dataclass(frozen=True)
class OffsetConfig:
    """How offsets are found from images."""

    fine_width: int = setting(
        640, "image width of the finest level", unit="px", minimum=40, maximum=4096
    )
    iterations: int = setting(8, "solver iterations per level", minimum=1, maximum=100)
    rounds: int = setting(
        3,
        "times that the silhouettes without a mask are made again at each level, "
        "around the offsets found",
        minimum=1,
        maximum=20,
    )
    max_offset: float = setting(
        0.2, "largest offset looked for", unit="rad or m", minimum=1e-4, maximum=3.2
    )
    prior_sigma: float = setting(
        0.2, "usual size of an offset", unit="rad or m", minimum=1e-5, maximum=10.0
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
    inset_px: float = setting(
        0.5,
        "how far splats are drawn in, which overlap pushes over the contour",
        unit="px",
        minimum=0.0,
        maximum=5.0,
    )
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
        residuals: [n] mean absolute silhouette error of each image over robot and contour, 0..1.
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
            wrong size, an unknown joint, or a robot with ball or floating joints.
    """
    return _Search(model, gaussians, observations, T_base_camera, config, joints).run()


@dataclasses.dataclass
class _State:
    x: Vector
    H: Matrix
    g: Vector
    cost: float


class _Search:
    """The images, and the offsets [nv] so far."""

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        observations: Sequence[Observation],
        T_base_camera: Matrix,
        config: OffsetConfig | None,
        joints: Sequence[str] | None,
    ) -> None:
        self.model, self.config = model, config or OffsetConfig()
        if model.nq != len(model.joint_names) or model.nv != model.nq:
            raise InputError(
                f"{model.name!r} has ball or floating joints; offsets are one number per joint"
            )
        if not observations:
            raise InputError("no images: offsets need at least one, and poses that differ")
        self.observations = observations
        self.v_to_q = Coordinates.of(model.tree, model.nq, model.nv).v_to_q
        self.q = np.stack([_readings(model, i, o) for i, o in enumerate(observations)])
        T = np.asarray(T_base_camera, np.float64)
        if T.shape not in ((4, 4), (len(observations), 4, 4)) or not np.isfinite(T).all():
            raise InputError(
                f"T_base_camera must be finite, [4,4] or [{len(observations)},4,4], got {T.shape}"
            )
        self.still = T.ndim == 2
        self.T = np.broadcast_to(T, (len(observations), 4, 4))
        names = model.joint_names
        for name in joints if joints is not None else ():
            if name not in names:
                raise unknown_name("joint", name, names)
        wanted = np.array([joints is None or name in joints for name in names])
        self.free = np.zeros(model.nv, bool)
        self.free = wanted[self.v_to_q]
        self.lower, self.upper = self._bounds()
        palette = palette_of(np.asarray(gaussians.colors))

        def image_model(splats: Any) -> ImageModel:
            labels = part_labels(splats.colors, palette)
            return ImageModel(model.tree, splats, model.nq, model.nv, labels)

        self.coarse = image_model(gaussians.subset(COARSE_SPLATS))
        self.fine = image_model(gaussians)
        self.columns = ParameterColumns.make(model.nv, self.free, False)
        # One camera learns one background; of a moving one every image stands alone.
        shared = SilhouetteSource(every=1)
        self.sources = [shared if self.still else SilhouetteSource(every=1) for _ in observations]
        self.iterations = 0

    def _bounds(self) -> tuple[Vector, Vector]:
        """Return the least and the largest offset [nv] that keep every pose within the limits."""
        reach = self.config.max_offset
        q = self.q[:, self.v_to_q]
        lower = np.maximum(-reach, np.asarray(self.model.lower)[self.v_to_q] - q.min(0))
        upper = np.minimum(reach, np.asarray(self.model.upper)[self.v_to_q] - q.max(0))
        for i in np.flatnonzero((lower > upper) & self.free):
            name = self.model.joint_names[self.v_to_q[i]]
            raise InputError(
                f"no offset up to {reach:g} brings the readings of joint {name!r} "
                f"({q[:, i].min():.4g} to {q[:, i].max():.4g}) into its limits "
                f"({self.model.lower[self.v_to_q[i]]:.4g} to "
                f"{self.model.upper[self.v_to_q[i]]:.4g})"
            )
        return lower[self.free], upper[self.free]

    def run(self) -> OffsetResult:
        config = self.config
        fine = min(config.fine_width, *(o.camera.width for o in self.observations))
        widths = sorted({min(w, fine) for w in (COARSE_WIDTH, MIDDLE_WIDTH, fine)})
        state = _State(np.zeros(int(self.free.sum())), np.zeros(0), np.zeros(0), 0.0)
        state.x = np.clip(state.x, self.lower, self.upper)
        start = state.x
        reason = StopReason.ITERATIONS
        targets: list[ImageTarget] = []
        first: list[ImageTarget] = []
        levels: list[Level] = []
        for width in widths:
            levels = [make_level(o, width) for o in self.observations]
            coarse = width == COARSE_WIDTH
            model = self.coarse if coarse else self.fine
            masked = all(o.mask is not None for o in self.observations)
            if self.still and not masked and not coarse:
                for i, level in enumerate(levels):
                    self._learn(i, level, state.x)
            blurs = (2, 1) if coarse else (0,)
            for blur in blurs:
                for _ in range(1 if masked and blur == 2 else config.rounds):
                    targets = self._targets(levels, state.x, blur)
                    before = state.x
                    state, reason = self._solve(model, targets, before)
                    if reason is StopReason.NOTHING_VISIBLE:
                        break
                    if np.abs(state.x - before).max(initial=0.0) < 1e-5:
                        break
        first = self._targets(levels, state.x, 0)
        H = state.H + np.diag(np.full(len(state.x), config.prior_sigma**-2))
        covariance = np.asarray(np.linalg.inv(H), np.float64)
        offsets, std = np.zeros(self.model.nv), np.zeros(self.model.nv)
        offsets[self.free], std[self.free] = state.x, np.sqrt(np.diag(covariance))
        names = [self.model.joint_names[self.v_to_q[i]] for i in np.flatnonzero(self.free)]
        pressed = (state.x <= self.lower + 1e-9) | (state.x >= self.upper - 1e-9)
        return OffsetResult(
            offsets,
            std,
            covariance,
            tuple(names),
            self._errors(first, state.x),
            self._errors(first, start),
            self.iterations,
            reason,
            tuple(n for n, p in zip(names, pressed, strict=True) if p),
        )

    def _positions(self, i: int, x: Vector) -> Vector:
        q = self.q[i].copy()
        q[self.v_to_q[self.free]] += x
        return q

    def _bare(self, level: Level) -> ImageTarget:
        config = self.config
        return ImageTarget(
            K=level.camera.K,
            width=level.camera.width,
            height=level.camera.height,
            weight=level.weight,
            mask_sigma=config.mask_sigma,
            depth_sigma=config.depth_sigma_m or 1.0,
            robust=config.robust,
            eps2d=EPS2D,
            inset_px=config.inset_px,
        )

    def _targets(self, levels: list[Level], x: Vector, blur_px: int) -> list[ImageTarget]:
        out = []
        for i, level in enumerate(levels):
            bare = self._bare(level)
            model = self.coarse if level.camera.width <= MIDDLE_WIDTH else self.fine
            rendered = model.images(self._positions(i, x), self.T[i], bare)
            region = self.sources[i].target(level, rendered)
            target = dataclasses.replace(
                bare,
                mask=region.mask,
                mask_weight=region.mask_trust,
                depth=level.depth if self.config.depth_sigma_m > 0 else None,
                blur_radius=blur_px,
            )
            if self.config.parts_sigma > 0:
                target = dataclasses.replace(
                    target,
                    color=region.parts,
                    color_weight=region.parts_trust,
                    background=np.zeros_like(region.parts),
                    color_sigma=self.config.parts_sigma,
                )
            out.append(target)
        return out

    def _learn(self, i: int, level: Level, x: Vector) -> None:
        """Learn what is behind the robot at this level's size."""
        rendered = self.coarse.images(self._positions(i, x), self.T[i], self._bare(level))
        self.sources[i].learn(level, rendered)

    def _evaluate(self, model: ImageModel, targets: list[ImageTarget], x: Vector) -> _State:
        n = len(x)
        H, g, cost, inside = np.zeros((n, n)), np.zeros(n), 0.0, 0.0
        for i, target in enumerate(targets):
            part = model.evaluate(self._positions(i, x), self.T[i], target, self.columns)
            inside += part.statistics.inside
            cost += part.statistics.cost
            if part.H is not None and part.g is not None:
                H += part.H
                g += part.g
        w = self.config.image_weight
        self.iterations += 1
        return _State(x, H * w, g * w, cost * w if inside > 0 else np.nan)

    def _solve(
        self, model: ImageModel, targets: list[ImageTarget], x: Vector
    ) -> tuple[_State, StopReason]:
        """Minimise the sum over all images by Levenberg-Marquardt within the bounds."""
        prior = self.config.prior_sigma**-2

        def total(state: _State) -> float:
            return state.cost + 0.5 * prior * float(state.x @ state.x)

        state = self._evaluate(model, targets, x)
        if np.isnan(state.cost):
            return dataclasses.replace(state, cost=0.0), StopReason.NOTHING_VISIBLE
        damping = 1e-3
        for _ in range(self.config.iterations):
            g = state.g + prior * state.x
            held = (state.x <= self.lower) & (g > 0) | (state.x >= self.upper) & (g < 0)
            move = ~held
            A = state.H + np.diag(damping * np.diag(state.H) + prior)
            step = np.zeros(len(x))
            step[move] = -np.linalg.solve(A[np.ix_(move, move)], g[move])
            if np.abs(step).max(initial=0.0) < 1e-6:
                return state, StopReason.CONVERGED
            trial = self._evaluate(model, targets, np.clip(state.x + step, self.lower, self.upper))
            if np.isfinite(trial.cost) and total(trial) < total(state):
                state, damping = trial, max(damping * 0.3, 1e-7)
            else:
                damping = max(damping * 10.0, 1e-4)
                if damping > 1e5:
                    return state, StopReason.STALLED
        return state, StopReason.ITERATIONS

    def _errors(self, targets: list[ImageTarget], x: Vector) -> Vector:
        out = []
        for i, target in enumerate(targets):
            alpha = self.fine.images(self._positions(i, x), self.T[i], target).alpha
            assert target.mask is not None and target.mask_weight is not None
            trust = target.mask_weight * (1.0 if target.weight is None else target.weight)
            error = np.abs(alpha - target.mask) * trust
            out.append(float(error.sum() / max((target.mask * trust).sum(), 1.0)))
        return np.array(out)


def _readings(model: Any, i: int, observation: Observation) -> Vector:
    """Return the checked joint positions of an image."""
    q = observation.joint_positions
    if q is None or np.shape(q) != (model.nq,):
        raise InputError(
            f"image {i} needs joint positions of all {model.nq} joints: "
            f"{', '.join(model.joint_names)}"
        )
    for k in np.flatnonzero(~np.isfinite(q)):
        raise InputError(f"joint {model.joint_names[k]!r} of image {i} is at {q[k]}, not a number")
    return np.asarray(q, np.float64)
