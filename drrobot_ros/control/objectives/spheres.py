"""Distances of the robot from itself and from obstacles, by spheres: smooth, and quick in batches.

The gate (`control.safety`) measures exactly; these terms only lead away from what it would refuse.
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.collisions import CollisionChecker
from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.control.shapes import link_shapes
from drrobot_ros.robot import RobotModel

SPHERES_PER_LINK = 12
_SAMPLES = 300  # random configurations that tell how much spheres reach too far


@dataclasses.dataclass(frozen=True, eq=False)
class LinkSpheres:
    """Spheres that hold a robot's links.

    Attributes:
        links: row of the tree that carries each sphere [S].
        centers: in the links' frames [S,3] m.
        radii: [S] m.
    """

    links: Tensor
    centers: Tensor
    radii: Tensor

    @classmethod
    def of(cls, model: RobotModel, per_link: int = SPHERES_PER_LINK) -> "LinkSpheres":
        """Cover the surface of every link with spheres, by k-means with a fixed seed."""
        links, centers, radii = [], [], []
        for row in range(len(model.link_names)):
            points = link_surface(model, row)
            if not len(points):
                continue
            center = _centers(points, min(per_link, len(points)))
            nearest = np.linalg.norm(points[:, None] - center, axis=-1).argmin(1)
            for k in np.unique(nearest):
                own = points[nearest == k]
                middle = (own.min(0) + own.max(0)) / 2
                links.append(row)
                centers.append(middle)
                radii.append(np.linalg.norm(own - middle, axis=1).max())
        return cls(
            torch.tensor(links),
            torch.from_numpy(np.array(centers)),
            torch.from_numpy(np.array(radii)),
        )

    def at(self, T_base_link: Tensor) -> Tensor:
        """Return the centres in the base frame [B,S,3]."""
        T = T_base_link[:, self.links]
        return (T[..., :3, :3] @ self.centers.to(T)[:, :, None])[..., 0] + T[..., :3, 3]


def link_surface(model: RobotModel, row: int, count: int = 1500) -> NDArray[np.float64]:
    """Return points [P,3] spread over the convex hulls of a link's shapes, in its frame."""
    import trimesh
    from scipy.spatial import QhullError

    found = [np.zeros((0, 3))]
    for shape in link_shapes(model, row):
        outline = shape.outline()
        try:
            hull = trimesh.convex.convex_hull(outline)
        except QhullError:
            found.append(outline)  # flat: its corners
            continue
        found.append(np.asarray(trimesh.sample.sample_surface(hull, count, seed=0)[0]))
        found.append(np.asarray(hull.vertices))
    return np.concatenate(found)


def _centers(points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    from scipy.cluster.vq import kmeans2

    few = points[:: max(1, len(points) // 2000)]
    centers, _ = kmeans2(few, min(count, len(few)), minit="++", rng=np.random.default_rng(0))
    return centers


class SelfDistance:
    """Squared intrusion of links into each other's margin.

    Args:
        model: the robot.
        checker: says which links are compared.
        margin_m: distance kept.
        spheres: that hold the links; made if None.
    """

    name = "self collision"

    def __init__(
        self,
        model: RobotModel,
        checker: CollisionChecker,
        margin_m: float = 0.02,
        spheres: LinkSpheres | None = None,
    ) -> None:
        self._spheres = spheres or LinkSpheres.of(model)
        rows = self._spheres.links.numpy()
        compared = checker.compared
        i, j = np.triu_indices(len(rows), 1)
        keep = compared[rows[i], rows[j]]
        self._i, self._j = torch.from_numpy(i[keep]), torch.from_numpy(j[keep])
        r = self._spheres.radii
        self._least = r[self._i] + r[self._j] + margin_m
        # Spheres reach farther than links: where links are apart, theirs is no intrusion.
        lower = np.where(np.isfinite(model.lower), model.lower, -np.pi)
        upper = np.where(np.isfinite(model.upper), model.upper, np.pi)
        some = np.random.default_rng(0).uniform(lower, upper, (_SAMPLES, model.nq))
        at = self._spheres.at(model.forward_kinematics(torch.from_numpy(some)))
        apart = (at[:, self._i] - at[:, self._j]).norm(dim=-1)
        near = torch.from_numpy(np.stack([checker.near(q, margin_m) for q in some]))
        links = self._spheres.links
        near = near[:, links[self._i], links[self._j]]
        free = apart.masked_fill(near, torch.inf).amin(0)
        # Pairs that are near in every configuration are so by construction.
        self._least = torch.where(near.all(0), 0.0, torch.minimum(self._least, free))

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the squared intrusions, in cm^2, summed over pairs [B]."""
        at = self._spheres.at(candidate.T_base_link)
        apart = (at[:, self._i] - at[:, self._j]).square().sum(-1).add(1e-12).sqrt()
        return torch.relu(100 * (self._least.to(apart) - apart)).square().sum(-1)


class ObstacleDistance:
    """Squared intrusion of the robot into the margin around obstacles.

    Args:
        model: the robot; links that cannot move do not count.
        checker: knows the obstacles and which links move.
        margin_m: distance kept.
        spheres: that hold the links; made if None.
    """

    name = "obstacles"

    def __init__(
        self,
        model: RobotModel,
        checker: CollisionChecker,
        margin_m: float = 0.02,
        spheres: LinkSpheres | None = None,
    ) -> None:
        spheres = spheres or LinkSpheres.of(model)
        moves = torch.from_numpy(checker.moves)[spheres.links]
        self._spheres = LinkSpheres(
            spheres.links[moves], spheres.centers[moves], spheres.radii[moves]
        )
        self._obstacles, self._margin = checker.obstacles, margin_m

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the squared intrusions, in cm^2, summed over spheres and obstacles [B]."""
        at = self._spheres.at(candidate.T_base_link)
        cost = at.new_zeros(len(at))
        for obstacle in self._obstacles:
            gap = signed_distance(obstacle, at) - self._spheres.radii.to(at) - self._margin
            cost = cost + torch.relu(-100 * gap).square().sum(-1)
        return cost


def signed_distance(obstacle: Obstacle, points: Tensor) -> Tensor:
    """Return distances [...] of points [...,3] in the base frame; negative inside.

    Of a mesh: to its convex hull's farthest plane, which is short of the distance near its edges.
    """
    T = torch.from_numpy(np.asarray(obstacle.T_base_obstacle, np.float64)).to(points)
    p = (points - T[:3, 3]) @ T[:3, :3]
    size = [float(x) for x in obstacle.size]
    if obstacle.shape == "plane":
        return p[..., 2]
    if obstacle.shape == "sphere":
        return _norm(p) - size[0]
    if obstacle.shape == "box":
        out = p.abs() - p.new_tensor(size)
        return _norm(torch.relu(out)) + out.amax(-1).clamp(max=0)
    if obstacle.shape == "capsule":
        along = p[..., 2].clamp(-size[1], size[1])
        axis = torch.stack([torch.zeros_like(along), torch.zeros_like(along), along], -1)
        return _norm(p - axis) - size[0]
    if obstacle.shape == "cylinder":
        out = torch.stack([_norm(p[..., :2]) - size[0], p[..., 2].abs() - size[1]], -1)
        return _norm(torch.relu(out)) + out.amax(-1).clamp(max=0)
    from scipy.spatial import ConvexHull

    planes = ConvexHull(np.asarray(obstacle.vertices, np.float64)).equations
    normal, offset = p.new_tensor(planes[:, :3]), p.new_tensor(planes[:, 3])
    return (p @ normal.mT + offset).amax(-1)


def _norm(x: Tensor) -> Tensor:
    return (x.square().sum(-1) + 1e-16).sqrt()
