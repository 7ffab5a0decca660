"""Points of a robot's surface: where tracks begin, where they are on the image, whether seen."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.points.track_set import known
from drrobot_ros.errors import InputError
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget

Matrix = NDArray[np.float64]

_COVERED = 0.8  # alpha above which a pixel shows the robot
_INSIDE = 0.005  # how far inside the contour a track begins, as a share of the image's width
_BEHIND_M = 0.015  # a point farther behind what is rendered is hidden
_BORDER_M = 0.005  # a pixel this near to another link as well belongs to neither
_ON_M = 0.03  # a surface point is this near to a splat at most


@dataclasses.dataclass(frozen=True, eq=False)
class RobotPoints:
    """Points fixed to links.

    Attributes:
        links: rows of the robot's tree [P].
        points: in their links' frames [P,3] m.
    """

    links: NDArray[np.int64]
    points: Matrix

    def __len__(self) -> int:
        return len(self.links)

    def only(self, which: NDArray[Any]) -> "RobotPoints":
        """Return some of the points, by index or mask."""
        return RobotPoints(self.links[which], self.points[which])

    def project(
        self, model: Any, q: Matrix, view: Viewpoint, jacobian: bool = False
    ) -> tuple[Matrix, Matrix, Matrix | None]:
        """Return the points on the image, their depths and, if wanted, how joints move them.

        A point behind the camera is kept far in front of it, where residuals pull it back.

        Args:
            model: the robot.
            q: [T,nq].
            view: the camera.
            jacobian: whether derivatives are wanted; analytic.

        Returns:
            Pixels [T,P,2], depths [T,P] m, and derivatives of the pixels [T,P,2,nv] or None.
        """
        x = torch.from_numpy(np.atleast_2d(np.asarray(q, np.float64)))
        T = model.forward_kinematics(x).numpy()[:, self.links]
        arm = (T[..., :3, :3] @ self.points[:, :, None])[..., 0]
        T_camera_base = np.linalg.inv(view.T_base_camera)
        R = T_camera_base[:3, :3]
        p = (arm + T[..., :3, 3]) @ R.T + T_camera_base[:3, 3]
        K = view.camera.K
        z = np.maximum(p[..., 2], 1e-2)
        pixels = np.stack(
            [K[0, 0] * p[..., 0] / z + K[0, 2], K[1, 1] * p[..., 1] / z + K[1, 2]], -1
        )
        if not jacobian:
            return pixels, p[..., 2], None
        J = model.jacobians(x).numpy()
        # What a velocity and a turn of its link do to a point's pixel [T,P,2,6].
        by_shift = np.zeros((*pixels.shape, 3))
        for axis in (0, 1):
            by_shift[..., axis, :] = (
                K[axis, axis] * (R[axis] - (p[..., axis] / z)[..., None] * R[2]) / z[..., None]
            )
        by_turn = np.cross(arm[..., None, :], by_shift, axis=-1)
        by_link = np.concatenate([by_shift, by_turn], -1)
        Jp = np.empty((*pixels.shape, J.shape[-1]))
        for row in np.unique(self.links):
            own = np.flatnonzero(self.links == row)
            product = by_link[:, own].reshape(len(J), -1, 6) @ J[:, row]
            Jp[:, own] = product.reshape(len(J), len(own), 2, -1)
        return pixels, p[..., 2], Jp

    def visible(self, model: Any, gaussians: Any, q: Matrix, view: Viewpoint) -> NDArray[np.bool_]:
        """Return which points the camera sees [T,P]: in the image, and not behind the robot."""
        pixels, depth, _ = self.project(model, q, view)
        seen = np.zeros(depth.shape, bool)
        surface = Surface(model, gaussians)
        for t, row in enumerate(np.atleast_2d(q)):
            alpha, rendered = surface(row, view)
            at, inside = _pixel_of(pixels[t], view)
            inside &= depth[t] > 0
            near = rendered[at[:, 1], at[:, 0]]
            seen[t] = inside & (alpha[at[:, 1], at[:, 0]] > 0.5) & (depth[t] < near + _BEHIND_M)
        return seen


class Surface:
    """The robot's surface as a camera sees it, by the tracker's renderer: quick.

    Args:
        model: the robot.
        gaussians: its splats.
    """

    def __init__(self, model: Any, gaussians: Any) -> None:
        self._images = ImageModel(model.tree, gaussians, model.nq, model.nv)
        self._inset = float(getattr(gaussians, "inset_px", 0.0))

    def __call__(self, q: NDArray[np.float64], view: Viewpoint) -> tuple[Matrix, Matrix]:
        """Return how much each pixel shows the robot [H,W], and how far it is [H,W] m."""
        camera = view.camera
        target = ImageTarget(camera.K, camera.width, camera.height, inset_px=self._inset)
        seen = self._images.images(np.asarray(q, np.float64), view.T_base_camera, target)
        alpha = seen.alpha.astype(np.float64)
        return alpha, np.where(alpha > 1e-3, seen.depth / np.maximum(alpha, 1e-3), 0.0)


def bind(
    model: Any,
    gaussians: Any,
    q: NDArray[np.float64],
    view: Viewpoint,
    pixels: Matrix,
    inside_share: float = _INSIDE,
) -> tuple[RobotPoints, NDArray[np.bool_]]:
    """Return the points of the robot's surface that pixels show, and which pixels show any.

    Args:
        model: the robot.
        gaussians: its splats.
        q: joint positions [nq] at which the pixels were seen.
        view: the camera.
        pixels: [K,2] px; NaN shows nothing.
        inside_share: how far inside the contour they must be, as a share of the image's width.

    Returns:
        Points of those pixels that show the robot [P], and which these are [K].
    """
    from scipy.ndimage import minimum_filter

    alpha, depth = Surface(model, gaussians)(q, view)
    # Tracks at the contour slip: only points well inside are taken.
    alpha = minimum_filter(alpha, 2 * max(1, round(inside_share * view.camera.width)) + 1)
    shown = known(pixels)
    at, inside = _pixel_of(np.where(shown[:, None], pixels, -1.0), view)
    on = shown & inside & (alpha[at[:, 1], at[:, 0]] > _COVERED)
    K = view.camera.K
    z = depth[at[:, 1], at[:, 0]]
    offset = (np.where(shown[:, None], pixels, 0.0) - K[:2, 2]) / K[[0, 1], [0, 1]]
    p = np.concatenate([offset * z[:, None], z[:, None]], 1)
    T = view.T_base_camera
    in_base = p @ T[:3, :3].T + T[:3, 3]
    links, centres = splat_centres(model, gaussians, q)
    from scipy.spatial import KDTree

    if not on.any():
        return RobotPoints(np.zeros(0, np.int64), np.zeros((0, 3))), on
    gap, nearest = KDTree(centres).query(in_base[on], k=3)
    owner = links[nearest]
    # At the border of two links a pixel may belong to either: it is left out.
    other = (owner != owner[:, :1]) & (gap < gap[:, :1] + _BORDER_M)
    sure = (gap[:, 0] < _ON_M) & (other.sum(1) == 0)
    on[np.flatnonzero(on)[~sure]] = False
    rows = owner[sure, 0]
    T_links = model.forward_kinematics(torch.from_numpy(np.asarray(q, np.float64))).numpy()[rows]
    away = in_base[on] - T_links[:, :3, 3]
    return RobotPoints(rows, np.einsum("pji,pj->pi", T_links[:, :3, :3], away)), on


def visible_points(
    model: Any,
    gaussians: Any,
    q: NDArray[np.float64],
    view: Viewpoint,
    count: int,
    seed: int = 0,
    moving: NDArray[np.bool_] | None = None,
) -> RobotPoints:
    """Choose points of the robot that a viewpoint sees: centres of splats.

    Args:
        model: the robot.
        gaussians: its splats.
        q: joint positions [nq].
        view: the camera.
        count: how many; fewer if fewer are seen.
        seed: of the choice.
        moving: of which links points are wanted [L]; None: all.

    Raises:
        InputError: the robot is not in view.
    """
    every = all_points(model, gaussians, q)
    seen = every.visible(model, gaussians, q, view)[0]
    if moving is not None:
        seen &= moving[every.links]
    found = np.flatnonzero(seen)
    if not len(found):
        raise InputError("the camera sees no point of the robot that could be followed")
    return every.only(np.random.default_rng(seed).permutation(found)[:count])


def all_points(model: Any, gaussians: Any, q: NDArray[np.float64]) -> RobotPoints:
    """Return the centres of all splats, seen or not; at q [nq] they get their links."""
    links, _ = splat_centres(model, gaussians, q)
    return RobotPoints(links, np.asarray(gaussians.means, np.float64))


def splat_centres(
    model: Any, gaussians: Any, q: NDArray[np.float64]
) -> tuple[NDArray[np.int64], Matrix]:
    """Return the link of each splat [N] and its centre in the base frame [N,3]."""
    rows = np.array([model.link_index(name) for name in gaussians.link_names])
    links = rows[np.asarray(gaussians.link_index)]
    T = model.forward_kinematics(torch.from_numpy(np.asarray(q, np.float64)))[rows]
    with torch.no_grad():
        means, _ = gaussians.pose(T.to(gaussians.means))
    return links, means.numpy().astype(np.float64)


def chamfer(
    own: Matrix, tracks: Matrix, own_seen: NDArray[np.bool_] | None = None
) -> tuple[Matrix, Matrix]:
    """Return the Chamfer distance and that of squared distances, per image.

    The mean over either set of the distance to the nearest of the other, both ways added. Dr. Robot
    (equation 10; `utils/chamferdist_utils.py` of its code), like PyTorch3D, squares the distances.

    Args:
        own: the robot's points [T,P,2] px.
        tracks: [T,K,2] px, NaN where not seen.
        own_seen: which own points count [T,P]; None: all.

    Returns:
        [T] px and [T] px^2; NaN where either set is empty.
    """
    from scipy.spatial import KDTree

    plain, squared = np.full(len(own), np.nan), np.full(len(own), np.nan)
    for t in range(len(own)):
        there = known(tracks[t])
        here = np.ones(own.shape[1], bool) if own_seen is None else own_seen[t]
        if here.any() and there.any():
            mine, theirs = own[t][here], tracks[t][there]
            to_track, to_point = KDTree(theirs).query(mine)[0], KDTree(mine).query(theirs)[0]
            plain[t] = to_track.mean() + to_point.mean()
            squared[t] = np.square(to_track).mean() + np.square(to_point).mean()
    return plain, squared


def matched(own: Matrix, tracks: Matrix) -> Matrix:
    """Return the mean distance [T] px of points [T,P,2] to their tracks [T,P,2]; NaN: none seen."""
    seen = known(tracks)
    apart = np.where(seen, np.linalg.norm(own - np.where(seen[..., None], tracks, 0), axis=-1), 0)
    return np.where(seen.any(1), apart.sum(1) / np.maximum(seen.sum(1), 1), np.nan)


def _pixel_of(pixels: Matrix, view: Viewpoint) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the pixel [P,2] that holds each point, and whether it is in the image."""
    at = np.floor(np.clip(pixels, -1e6, 1e6)).astype(int)
    size = np.array([view.camera.width, view.camera.height])
    inside = np.asarray(((at >= 0) & (at < size)).all(axis=-1))
    return np.where(inside[:, None], at, 0), inside
