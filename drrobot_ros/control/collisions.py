"""How near a robot is to itself and to what stands around it: MuJoCo's geometry, exact motion.

A link is the union of the convex hulls of its collision shapes (of its visual ones where it has no
others). Links that are joined directly, and pairs that touch in every configuration, are not
compared.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.control.shapes import SIGHT_M, link_shapes, shape_of
from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.robot import RobotModel

Vector = NDArray[np.float64]
_Pair = tuple[int, int]

_SAMPLES = 300  # random configurations that tell which pairs always touch


@dataclasses.dataclass(frozen=True)
class Nearness:
    """The pair with the least room to spare.

    Attributes:
        distance_m: between them; negative: how deep they overlap.
        needed_m: the least allowed.
        first: name of a link.
        second: name of a link or an obstacle.
    """

    distance_m: float
    needed_m: float = 0.0
    first: str = ""
    second: str = ""

    @property
    def spare_m(self) -> float:
        """Room to spare."""
        return self.distance_m - self.needed_m

    def __str__(self) -> str:
        if not self.first:
            return f"nothing within {SIGHT_M} m"
        return f"{self.first} and {self.second} are {self.distance_m * 1e3:.1f} mm apart"


class CollisionChecker:
    """Measures distances between a robot's links, and to obstacles.

    Args:
        model: the robot.
        obstacles: what stands around it; links that cannot move are not compared with it.
        allowed_pairs: names of links that may touch each other.
        margin_m: least allowed distance. Of links that are nearer than that by construction it is
            only asked that they do not touch.

    Raises:
        InputError: an unknown link, or MuJoCo rejects a shape.
    """

    def __init__(
        self,
        model: RobotModel,
        obstacles: Sequence[Obstacle] = (),
        allowed_pairs: Sequence[tuple[str, str]] = (),
        margin_m: float = 0.01,
    ) -> None:
        self.model = model
        self.obstacles = tuple(obstacles)
        names = model.link_names
        unknown = next((n for pair in allowed_pairs for n in pair if n not in names), None)
        if unknown is not None:
            raise unknown_name("link", unknown, names)
        shaped = [row for row in range(len(names)) if link_shapes(model, row)]
        self._ignored = {
            (a, b)
            for a, b in itertools.combinations(shaped, 2)
            if self._neighbours(a, b, shaped) or {names[a], names[b]} in map(set, allowed_pairs)
        }
        self._compile()
        self._margin_m = margin_m
        touching, self._near = self._by_construction()
        #: Names of links that touch in every configuration and are therefore not compared.
        self.ignored_pairs = sorted((names[a], names[b]) for a, b in touching)
        if touching:
            self._ignored |= touching
            self._compile()

    def _compile(self) -> None:
        import mujoco

        spec = mujoco.MjSpec()
        names, rows = self.model.link_names, []
        for a, b in self._ignored:
            spec.add_exclude(bodyname1=f"link/{names[a]}", bodyname2=f"link/{names[b]}")
        for row, name in enumerate(self.model.link_names):
            shapes = link_shapes(self.model, row)
            if not shapes:
                continue
            body = spec.worldbody.add_body(name=f"link/{name}")
            body.add_freejoint()
            for i, shape in enumerate(shapes):
                shape.add_to(spec, body, f"{name}/{i}")
            rows.append(row)
        for obstacle in self.obstacles:
            shape_of(obstacle).add_to(spec, spec.worldbody, f"obstacle/{obstacle.name}")
        try:
            self._m: Any = spec.compile()
        except ValueError as error:
            raise InputError(f"no collision model of {self.model.name!r}: {error}") from error
        self._d: Any = mujoco.MjData(self._m)
        self._rows = np.array(rows, dtype=int)
        # Rows of the robot's tree by MuJoCo body; the world, where obstacles are, is -1.
        self._row_of_body = np.full(self._m.nbody, -1)
        for row in rows:
            self._row_of_body[self._m.body(f"link/{self.model.link_names[row]}").id] = row

    @cached_property
    def moves(self) -> NDArray[np.bool_]:
        """Whether each link can move against the base [L]."""
        tree = self.model.tree
        moves = np.zeros(len(tree), bool)
        for row in range(len(tree)):
            parent = tree.parent[row]
            moves[row] = tree.v_index[row] >= 0 or (parent >= 0 and moves[parent])
        return moves

    @cached_property
    def _group(self) -> NDArray[np.int_]:
        """The row that each link is fixed to [L]: those of one group never move apart."""
        tree = self.model.tree
        group = np.arange(len(tree))
        for row in range(len(tree)):
            if tree.v_index[row] < 0 and tree.parent[row] >= 0:
                group[row] = group[tree.parent[row]]
        return group

    def _neighbours(self, a: int, b: int, shaped: list[int]) -> bool:
        tree, group = self.model.tree, self._group
        if group[a] == group[b]:
            return True
        moved_by = [tree.q_index[group[r]] for r in (a, b)]
        if moved_by[0] == moved_by[1] >= 0:
            return True  # coupled, as the fingers of a gripper: meeting is what they are for
        # Virtual links (several joints at one body) carry no shape and do not count as distance.
        solid = {int(group[r]) for r in shaped}
        for child, other in ((a, b), (b, a)):
            up = int(tree.parent[group[child]])
            while up >= 0 and int(group[up]) not in solid:
                up = int(tree.parent[group[up]])
            if up >= 0 and group[up] == group[other]:
                return True
        return False

    def _by_construction(self) -> tuple[set[_Pair], set[_Pair]]:
        """Return the pairs of links that always touch, and those that are always near."""
        random = np.random.default_rng(0)
        lower = np.where(np.isfinite(self.model.lower), self.model.lower, -np.pi)
        upper = np.where(np.isfinite(self.model.upper), self.model.upper, np.pi)
        touching: set[_Pair] | None = None
        near: set[_Pair] | None = None
        for q in random.uniform(lower, upper, (_SAMPLES, self.model.nq)):
            pairs = [(pair, distance) for pair, distance in self._pairs(q) if pair[0] >= 0]
            now = {pair for pair, distance in pairs if distance < 0}
            touching = now if touching is None else touching & now
            now = {pair for pair, distance in pairs if distance < self._margin_m}
            near = now if near is None else near & now
            if not near:
                break
        return touching or set(), near or set()

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Which pairs of links are compared [L,L]."""
        n = len(self.model.link_names)
        result = np.zeros((n, n), bool)
        result[np.ix_(self._rows, self._rows)] = True
        for a, b in self._ignored:
            result[a, b] = result[b, a] = False
        return result & ~np.eye(n, dtype=bool)

    def _place(self, q: Vector) -> None:
        import mujoco

        T = self.model.forward_kinematics(torch.from_numpy(np.asarray(q, np.float64))).numpy()
        poses = self._d.qpos.reshape(-1, 7)
        for k, row in enumerate(self._rows):
            poses[k, :3] = T[row, :3, 3]
            mujoco.mju_mat2Quat(poses[k, 3:], T[row, :3, :3].ravel())
        mujoco.mj_kinematics(self._m, self._d)

    def _pairs(self, q: Vector) -> list[tuple[_Pair, float]]:
        """Return ((row, row), distance) of all compared contacts; an obstacle is -1 - geom."""
        import mujoco

        self._place(q)
        mujoco.mj_collision(self._m, self._d)
        found = []
        for geoms, distance in zip(self._d.contact.geom, self._d.contact.dist, strict=True):
            ends = []
            for g in geoms:
                row = int(self._row_of_body[self._m.geom_bodyid[g]])
                ends.append(row if row >= 0 else -1 - int(g))
            a, b = min(ends), max(ends)
            if a < 0 and not self.moves[b]:
                continue
            found.append(((a, b), float(distance)))
        return found

    def nearest(self, q: Vector) -> Nearness:
        """Return the pair of links, or of link and obstacle, with the least to spare at q [nq]."""
        found = Nearness(SIGHT_M, self._margin_m)
        for (a, b), distance in self._pairs(q):
            needed = 0.0 if (a, b) in self._near else self._margin_m
            if distance - needed < found.spare_m:
                first = self.model.link_names[b]
                second = self.model.link_names[a] if a >= 0 else self._m.geom(-1 - a).name
                found = Nearness(distance, needed, first, second)
        return found

    def near(self, q: Vector, within_m: float) -> NDArray[np.bool_]:
        """Return which compared links are nearer to each other than `within_m` [L,L]."""
        n = len(self.model.link_names)
        result = np.zeros((n, n), bool)
        for (a, b), distance in self._pairs(q):
            if a >= 0 and distance < within_m:
                result[a, b] = result[b, a] = True
        return result

    def box(self, q: Vector) -> tuple[Vector, Vector]:
        """Return the corners [3] of a box in the base frame that holds the moving links at q."""
        self._place(q)
        moving = self.moves[self._row_of_body[self._m.geom_bodyid]]
        moving &= self._m.geom_bodyid > 0
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        for g in np.flatnonzero(moving):
            R = self._d.geom_xmat[g].reshape(3, 3)
            centre = self._d.geom_xpos[g] + R @ self._m.geom_aabb[g, :3]
            half = np.abs(R) @ self._m.geom_aabb[g, 3:]
            low, high = np.minimum(low, centre - half), np.maximum(high, centre + half)
        return low, high

    @cached_property
    def reach_m(self) -> Vector:
        """How far any point moves at most per unit of each joint [nq]: m/rad, or 1 for m/m."""
        tree, model = self.model.tree, self.model
        radius = np.zeros(len(tree))
        for k, row in enumerate(self._rows):
            geoms = np.flatnonzero(self._m.geom_bodyid == k + 1)
            centre = np.linalg.norm(self._m.geom_pos[geoms], axis=1)
            radius[row] = (centre + self._m.geom_rbound[geoms]).max()
        # From a joint outward, stretched out: offsets add up, sliding joints at full range.
        reach = radius.copy()
        for row in range(len(tree) - 1, 0, -1):
            step = np.linalg.norm(tree.T_parent_joint[row][:3, 3])
            step += np.linalg.norm(tree.T_joint_link[row][:3, 3])
            if tree.joint_type[row] == 2 and tree.q_index[row] >= 0:
                k = tree.q_index[row]
                span = max(abs(model.lower[k]), abs(model.upper[k]))
                step += abs(tree.mimic_multiplier[row]) * span + abs(tree.mimic_offset[row])
            reach[tree.parent[row]] = max(reach[tree.parent[row]], step + reach[row])
        out = np.zeros(model.nq)
        for row in range(len(tree)):
            k = tree.q_index[row]
            if k < 0:
                continue
            own = np.linalg.norm(tree.T_joint_link[row][:3, 3]) + reach[row]
            factor = 1.0 if tree.joint_type[row] == 2 else own
            out[k] += abs(tree.mimic_multiplier[row]) * factor
        return out
