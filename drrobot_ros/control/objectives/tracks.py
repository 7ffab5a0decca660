"""Follow tracks of points on the image (Dr. Robot, section 3.3.3, equation 10)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.control.points import robot_points
from drrobot_ros.errors import InputError
from drrobot_ros.geometry import se3


class PointTracks:
    """Distance on the image between points of the robot and tracks, time step by time step.

    With correspondence, point k is to be where track k is; without, the two sets are compared by
    the Chamfer distance (mean over either set of the squared distance to the nearest of the other),
    which also serves a robot of other proportions than the one that was tracked.

    Args:
        tracks: [T,K,2] px, NaN where a track is not seen.
        view: camera in which they were seen.
        links: rows of the robot's tree that carry the points [P].
        points: in their links' frames [P,3] m.
        correspondence: whether point k belongs to track k (then P = K).
        scale_px: distances count in units of this.
        robust_px: farther points than this pull only linearly; inf: never.
        visible: which points count at each time step [T,P]; None: all.

    Raises:
        InputError: sizes that do not fit, infinite numbers, or a time step without any track.
    """

    name = "point tracks"

    def __init__(
        self,
        tracks: NDArray[np.float64],
        view: Viewpoint,
        links: NDArray[np.integer],
        points: NDArray[np.float64],
        correspondence: bool,
        scale_px: float = 1.0,
        robust_px: float = float("inf"),
        visible: NDArray[np.bool_] | None = None,
    ) -> None:
        tracks, points = np.asarray(tracks, np.float64), np.asarray(points, np.float64)
        if tracks.ndim != 3 or tracks.shape[2] != 2 or tracks.shape[0] == 0:
            raise InputError(f"tracks must be [T, K, 2], got {list(tracks.shape)}")
        if points.ndim != 2 or points.shape[1] != 3 or len(links) != len(points):
            raise InputError(
                f"points must be [P, 3] with P links, got {list(points.shape)} and {len(links)}"
            )
        if not np.isfinite(points).all() or np.isinf(tracks).any():
            raise InputError("points and tracks must not be infinite; NaN marks an unseen track")
        if correspondence and tracks.shape[1] != len(points):
            raise InputError(f"{tracks.shape[1]} tracks but {len(points)} points")
        seen = ~np.isnan(tracks[..., 0] + tracks[..., 1])
        empty = np.flatnonzero(seen.sum(1) == 0)
        if len(empty):
            raise InputError(f"time step {empty[0]} has no track that is seen")
        own = np.ones((len(tracks), len(points)), bool) if visible is None else visible
        if own.shape != (len(tracks), len(points)) or not own.any(axis=1).all():
            raise InputError(
                f"visible must be {[len(tracks), len(points)]}, some point of every time step"
            )
        self._own = torch.from_numpy(np.asarray(own, bool))
        self.steps = len(tracks)
        self._seen = torch.from_numpy(seen)
        self._tracks = torch.from_numpy(np.where(seen[..., None], tracks, 0.0))
        self._view, self._correspondence = view, correspondence
        self._links = torch.as_tensor(np.asarray(links), dtype=torch.long)
        self._points = torch.from_numpy(points)
        self._scale, self._robust = scale_px, robust_px / scale_px

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the mean squared distances, in units of `scale_px` squared [B].

        Raises:
            InputError: the candidate has another number of time steps than the tracks.
        """
        if len(candidate.q) != self.steps:
            raise InputError(
                f"the tracks have {self.steps} time steps, the motion {len(candidate.q)}"
            )
        at = self.project(candidate)
        tracks, seen, own = self._tracks.to(at), self._seen, self._own
        if self._correspondence:
            seen = seen & own
            distance = self._cost((at - tracks).square().sum(-1) / self._scale**2)
            return (distance * seen).sum(1) / seen.sum(1).clamp(min=1)
        apart = (at[:, :, None] - tracks[:, None]).square().sum(-1) / self._scale**2  # [B,P,K]
        apart = apart.masked_fill(~(seen[:, None] & own[:, :, None]), torch.inf)
        to_track = self._cost(torch.where(own, apart.min(2).values, 0.0)).sum(1) / own.sum(1)
        to_point = self._cost(torch.where(seen, apart.min(1).values, 0.0)).sum(1) / seen.sum(1)
        return to_track + to_point

    def project(self, candidate: Candidate) -> Tensor:
        """Return the points on the image [B,P,2] px."""
        T = candidate.T_base_link[:, self._links]
        points = self._points.to(T)
        in_base = (T[..., :3, :3] @ points[:, :, None])[..., 0] + T[..., :3, 3]
        T_camera_base = se3.inverse(torch.from_numpy(self._view.T_base_camera)).to(T)
        seen = in_base @ T_camera_base[:3, :3].mT + T_camera_base[:3, 3]
        K = self._view.camera.K
        # A point behind the camera has no image; it is kept in front, far out, to be pulled back.
        z = seen[..., 2].clamp(min=1e-2)
        u = K[0, 0] * seen[..., 0] / z + K[0, 2]
        v = K[1, 1] * seen[..., 1] / z + K[1, 2]
        return torch.stack([u, v], -1)

    def _cost(self, square: Tensor) -> Tensor:
        if not np.isfinite(self._robust):
            return square
        distance = (square + 1e-12).sqrt()
        far = 2 * self._robust * distance - self._robust**2
        return torch.where(distance > self._robust, far, square)


def visible_points(
    candidate: Candidate, view: int, count: int, seed: int = 0, step: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose points of the robot that a viewpoint sees: centres of splats.

    Args:
        candidate: the robot's pose.
        view: which viewpoint.
        count: how many; fewer if fewer are seen.
        seed: of the choice.
        step: which pose of the batch.

    Returns:
        Rows of the links [P] and points in their frames [P,3] m.

    Raises:
        InputError: the robot is not in view.
    """
    q = candidate.q[step].detach().numpy().astype(np.float64)
    at = candidate.views[view]
    found = robot_points.visible_points(candidate.model, candidate.gaussians, q, at, count, seed)
    return found.links, found.points
