"""From the last solution to the result: covariances, what is not observable, and the verdict."""

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.directions import UNSEEN, unobservable_directions
from drrobot_ros.estimation.calibration.frames import Frames
from drrobot_ros.estimation.calibration.result import (
    CalibrationResult,
    CameraResult,
    KeyframeResult,
    Matrix,
    Vector,
    Verdict,
)
from drrobot_ros.estimation.problem import Solution, StopReason
from drrobot_ros.estimation.uncertainty import about_the_lens

# Least variance of the error over that of the normal matrix, and variance over what the scatter of
# the images says: what the contour is off by is common to neighbouring pixels and to images. In
# simulation and on photos (benchmarks/calibration.md).
INFLATION = 4.0, 4.0
# Inflation where masks are given and the meshes' own outline is compared with them, and the share
# of the robot's area that it may differ by before the variance grows with its square.
INFLATION_MASKS, USUAL_MISFIT = (0.2, 2.0), 0.0035
# Variance between halves of the images, over that of their normal matrices, that is doubted. Right
# results have up to 4 (up to 25 with masks that are not quite the robot, which get more),
# readings 2 degrees off in every image 20 to 400.
DISAGREE, DISAGREE_MASKS = 16.0, 50.0
# An agreement below these is doubted, and not believed. On photos right results have 0.85 and more,
# cameras 3 cm off 0.72 to 0.76, 6 cm off and wrong optima less than 0.68.
DOUBTED, REFUSED = 0.82, 0.68
DOUBTED_STD_M, DOUBTED_STD_RAD = 0.02, 0.02
FEW_KEYFRAMES = 5


@dataclasses.dataclass(frozen=True)
class Found:
    """What the stages found, to be judged."""

    model: Any
    frames: Frames
    config: CalibrationConfig
    joints: NDArray[np.bool_]
    solution: Solution
    disagreement: float
    bounds: tuple[Vector, Vector]
    residuals: Vector
    residuals_before: Vector
    agreements: Vector
    weights: Vector
    reasons: list[str]
    iterations: int
    started: float

    @property
    def masked(self) -> bool:
        """Whether all images have a mask that is believed."""
        return all(self.frames.masked(i, self.config) for i in range(len(self.frames.q)))


def make_result(found: Found) -> CalibrationResult:
    """Return the result with covariances, words and verdict."""
    solution, frames, model = found.solution, found.frames, found.model
    layout, state = solution.layout, solution.state
    least, common = _inflation(found)
    covariance = covariance_of(solution, least, common, found.disagreement)
    std = np.sqrt(np.diag(covariance))
    offset_std = np.zeros(model.nv)
    layout = dataclasses.replace(layout, offset=layout.offset[: model.nv])
    free = layout.offset >= 0
    offset_std[free] = std[layout.offset[free]]
    offset = state.offset[: model.nv]
    cameras = {}
    for c, name in enumerate(frames.names):
        lag = layout.lag[c]
        cameras[name] = CameraResult(
            state.T_cameras[c],
            frames.cameras[c].link,
            about_the_lens(covariance, layout.camera[c], state.T_cameras[c]),
            float(state.lag_s[c]),
            float(std[lag]) if lag >= 0 else 0.0,
        )
    keyframes = tuple(
        KeyframeResult(
            f.moment,
            frames.names[f.camera],
            f.observation.stamp_s,
            float(found.residuals[i]),
            float(found.residuals_before[i]),
            float(found.agreements[i]),
            float(found.weights[i]),
            bool(found.weights[i] == 0.0),
            found.reasons[i],
        )
        for i, f in enumerate(frames.frames)
    )
    names = [velocity_name(model, j) for j in range(model.nv)]
    low, high = (bound[: model.nv] for bound in found.bounds)
    pressed = (offset <= low + 1e-9) | (offset >= high - 1e-9)
    at_limit = tuple(names[j] for j in np.flatnonzero(pressed & free))
    unobservable = unobservable_directions(solution, names, frames, found.config)
    result = CalibrationResult(
        cameras,
        tuple(names[j] for j in np.flatnonzero(free)),
        np.where(free, offset, 0.0),
        offset_std,
        covariance,
        layout,
        keyframes,
        at_limit,
        unobservable,
        Verdict.GOOD,
        (),
        solution.stop_reason,
        found.iterations,
        time.perf_counter() - found.started,
    )
    bad_masks = found.masked and least > INFLATION_MASKS[0]
    allowed = DISAGREE_MASKS if bad_masks else DISAGREE
    verdict, reasons = judge(result, found.disagreement, allowed)
    return dataclasses.replace(result, verdict=verdict, reasons=reasons)


def covariance_of(
    solution: Solution, least: float, common: float, disagreement: float = 0.0
) -> Matrix:
    """Return the covariance of all unknowns [p,p].

    The normal matrix takes pixels as independent. How far the keyframes in fact disagree (the
    scatter of their pulls at the solution, solutions of halves of them) widens it where that is
    more.

    Args:
        solution: the last.
        least: variance over that of the normal matrix.
        common: variance over what the keyframes say.
        disagreement: of halves of the keyframes, variance over that of the normal matrix.
    """
    n = len(solution.H)
    base = np.linalg.inv(solution.H + 1e-9 * np.eye(n)) if n else np.zeros((0, 0))
    m = len(solution.gradients)
    scale = 0.0
    if n and m > 1:
        g = solution.gradients - solution.gradients.mean(0)
        scale = float(np.trace(base @ (g.T @ g))) / n * m / (m - 1)
    return np.asarray(base * max(least, common * max(scale, disagreement)), np.float64)


def _inflation(found: Found) -> tuple[float, float]:
    """Return the least variance over that of the normal matrix, and that over the scatter's.

    A mesh that is not quite the robot, or masks that leave parts out, pull every image the same
    way: neither the normal matrix nor the scatter of the images knows.
    """
    used = found.residuals[found.weights > 0]
    if not found.masked or not len(used):
        return INFLATION
    least, common = INFLATION_MASKS
    return least * max(1.0, (float(np.median(used)) / USUAL_MISFIT) ** 2), common


def velocity_name(model: Any, j: int) -> str:
    """Return the name of the joint that a velocity belongs to."""
    names = model.joint_names
    index = [model.joint_v_index(n) for n in names]
    best = max((i for i in range(len(names)) if index[i] <= j), key=lambda i: index[i], default=0)
    return names[best]


def judge(
    result: CalibrationResult, disagreement: float = 0.0, allowed: float = DISAGREE
) -> tuple[Verdict, tuple[str, ...]]:
    """Return how far to believe a result, and why it is not better.

    Args:
        result: with its covariance.
        disagreement: variance between halves of the images over that of their normal matrices.
        allowed: how much of it is usual.
    """
    failed, doubtful = [], []
    used = [k for k in result.keyframes if not k.rejected]
    agreement = float(np.median([k.agreement for k in result.keyframes]))
    if result.stop_reason is StopReason.NOTHING_VISIBLE:
        failed.append("the robot is in none of the images")
    if agreement < REFUSED:
        failed.append(
            f"image and rendering agree by {agreement:.2f} only (good: above {DOUBTED}): the pose "
            "is wrong, or the images show another robot"
        )
    elif agreement < DOUBTED:
        doubtful.append(f"image and rendering agree by {agreement:.2f} (good: above {DOUBTED})")
    if len(used) <= 0.5 * len(result.keyframes):
        failed.append(
            f"{len(result.keyframes) - len(used)} of {len(result.keyframes)} images do not fit"
        )
    if len({k.index for k in used}) < FEW_KEYFRAMES:
        doubtful.append(f"only {len({k.index for k in used})} keyframes were used")
    if disagreement > allowed:
        doubtful.append(
            f"halves of the images tell different poses, {np.sqrt(disagreement):.0f} standard "
            "deviations apart: readings are wrong, each otherwise, or the camera was touched"
        )
    for name, camera in result.cameras.items():
        if camera.std_m > DOUBTED_STD_M or camera.std_rad > DOUBTED_STD_RAD:
            doubtful.append(
                f"camera {name!r} is known to {1e3 * camera.std_m:.0f} mm and "
                f"{np.degrees(camera.std_rad):.1f} degrees only"
            )
    doubtful += [f"the offset of joint {name!r} is at its limit" for name in result.at_limit]
    # A joint that no image shows says nothing against the cameras.
    alone = {f"the offset of joint {name!r} " + UNSEEN for name in result.joint_names}
    doubtful += [text for text in result.unobservable if text not in alone]
    if failed:
        return Verdict.FAILED, tuple(failed + doubtful)
    return (Verdict.DOUBTFUL if doubtful else Verdict.GOOD), tuple(doubtful)
