"""How far apart a robot's joints are in two real pictures of one camera.

What an estimator gets wrong in a picture (light, shadows, a joint that hardly shows) is not in the
difference of two. Corners of the robot's surface are followed from the one picture to the other;
then the surface is turned, with all its pixels, until the one picture lies on the other. Sources:
Chaumette and Hutchinson, "Visual servo control, part I", 2006; Collewet and Marchand, "Photometric
visual servoing", 2011.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.points.lucas_kanade import LucasKanadeConfig, track_points
from drrobot_ros.control.points.robot_points import RobotPoints, Surface, bind
from drrobot_ros.control.points.track_set import known
from drrobot_ros.errors import InputError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Image = NDArray[np.uint8]

_CORNERS = LucasKanadeConfig(points=800, quality=3e-4, distance_px=3.0, backward_px=0.3)
_LEAST = 20  # corners, below which nothing is said
_ROUNDS = 12
_FINEST_PX = 0.1  # no corner is followed more exactly
_BLURS_PX = (2.0, 1.0)
_PIXELS = 4000  # of the strongest gradients that are compared
_FINEST_GREY = 0.5  # nor is a pixel's brightness (of 255) known more exactly
_RELATED = 25.0  # neighbouring pixels err alike: so many, times the blur, count as one
_PRIOR_RAD = 0.1  # how far apart the pictures are, about
_COVERED = 0.8
_STEP_RAD = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class JointDifference:
    """What two pictures tell of joints.

    Attributes:
        q: joints of the second picture minus those of the first [nq].
        sigma: standard deviations [nq]; about `_PRIOR_RAD` where the pictures say nothing.
        corners: followed from one to the other.
    """

    q: Vector
    sigma: Vector
    corners: int


def joints_between(
    model: Any, gaussians: Any, now: Image, wanted: Image, view: Viewpoint, q: Vector
) -> JointDifference | None:
    """Return how the joints have to turn for one picture of a robot to become another.

    Args:
        model: the robot.
        gaussians: its splats.
        now: [H,W,3] uint8.
        wanted: of the same camera, in about the same light; a few degrees away.
        view: the camera, where it was for both.
        q: joints [nq] of the first picture, to some degrees: only differences are read.

    Returns:
        The difference; None where too few corners of the robot are in both pictures, or these are
        of different sizes.
    """
    from scipy.ndimage import binary_erosion

    alpha, _ = Surface(model, gaussians)(q, view)
    region = np.asarray(binary_erosion(alpha > _COVERED, iterations=2)).astype(bool)
    if now.shape != wanted.shape or now.shape[:2] != alpha.shape or not region.any():
        return None
    try:
        tracks = track_points([now, wanted], _CORNERS, region).tracks
    except InputError:  # nothing could be followed
        return None
    points, on = bind(model, gaussians, q, view, tracks[0])
    followed = known(tracks[1, on])
    if followed.sum() < _LEAST:
        return None
    flow = (tracks[1, on] - tracks[0, on])[followed]
    turn = _by_corners(model, points.only(followed), flow, view, q)
    turn, sigma = _by_pixels(model, gaussians, now, wanted, view, q, turn, alpha)
    return JointDifference(turn, sigma, int(followed.sum()))


def _by_corners(
    model: Any, points: RobotPoints, flow: Matrix, view: Viewpoint, q: Vector
) -> Vector:
    """Return the turn [nq] that moves points on the image by flows [P,2]."""
    here, _, _ = points.project(model, q[None], view)
    turn = np.zeros_like(q)
    for _ in range(_ROUNDS):
        at, _, J = points.project(model, (q + turn)[None], view, jacobian=True)
        assert J is not None
        residual = at[0] - here[0] - flow
        apart = np.linalg.norm(residual, axis=1)
        pull = _pull(apart, max(_FINEST_PX, 0.85 * float(np.median(apart))))
        rows = J[0].reshape(-1, len(q))
        step, _ = _step(rows, residual.ravel(), np.repeat(pull, 2), turn)
        turn = turn + step
        if np.abs(step).max() < 1e-5:
            break
    return turn


def _by_pixels(
    model: Any,
    gaussians: Any,
    now: Image,
    wanted: Image,
    view: Viewpoint,
    q: Vector,
    turn: Vector,
    alpha: Matrix,
) -> tuple[Vector, Vector]:
    """Return the turn [nq] that lays one picture on the other, and its deviations [nq]."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    rows_at, columns_at = np.nonzero(alpha > 0.5)
    pixels = np.stack([columns_at, rows_at], 1).astype(np.float64) + 0.5
    points, on = bind(model, gaussians, q, view, pixels, 0.0)
    rows_at, columns_at = rows_at[on], columns_at[on]
    here, _, _ = points.project(model, q[None], view)
    aside = pixels[on] - here[0]
    grey = [x.astype(np.float64) @ np.array([0.299, 0.587, 0.114]) for x in (now, wanted)]
    sigma = np.full_like(q, _PRIOR_RAD)
    for blur in _BLURS_PX:
        first, second = (gaussian_filter(x, blur) for x in grey)
        down, right = np.gradient(second)
        steps = np.gradient(first)
        steep = np.hypot(steps[0], steps[1])[rows_at, columns_at]
        chosen = np.argsort(-steep)[:_PIXELS]
        some, before = points.only(chosen), first[rows_at[chosen], columns_at[chosen]]
        for _ in range(_ROUNDS):
            at, _, J = some.project(model, (q + turn)[None], view, jacobian=True)
            assert J is not None
            where = (at[0] + aside[chosen] - 0.5)[:, ::-1].T
            after, x, y = (
                map_coordinates(image, where, order=1, mode="nearest")
                for image in (second, right, down)
            )
            residual = after - before
            scale = max(_FINEST_GREY, 1.48 * float(np.median(np.abs(residual))))
            pull = _pull(np.abs(residual), scale) / (_RELATED * blur)
            rows = x[:, None] * J[0, :, 0] + y[:, None] * J[0, :, 1]
            step, sigma = _step(rows, residual, pull, turn)
            turn = turn + step
            if np.abs(step).max() < 1e-5:
                break
    return turn, sigma


def _pull(apart: Vector, scale: float) -> Vector:
    """Return weights [n] of residuals, by Geman and McClure's loss: outliers are left out."""
    return 1 / (1 + (apart / (2 * scale)) ** 2) ** 2 / scale**2


def _step(rows: Matrix, residual: Vector, pull: Vector, turn: Vector) -> tuple[Vector, Vector]:
    """Return a Gauss-Newton step [nq], and the deviations [nq]."""
    H = rows.T @ (pull[:, None] * rows) + np.eye(len(turn)) / _PRIOR_RAD**2
    step = -np.linalg.solve(H, rows.T @ (pull * residual) + turn / _PRIOR_RAD**2)
    sigma = np.sqrt(np.diag(np.linalg.inv(H)))
    return np.asarray(np.clip(step, -_STEP_RAD, _STEP_RAD), np.float64), sigma
