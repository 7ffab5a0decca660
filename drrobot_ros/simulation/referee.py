"""Judges what an arm did, by MuJoCo's own model of it: owes nothing to the code that planned it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Block:
    """A box that stands in the base frame: half sizes and centre [m]."""

    name: str
    half: tuple[float, float, float]
    at: tuple[float, float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """What a motion did.

    Attributes:
        collisions: pairs of names that touched.
        deepest_m: how deep they did; 0: nothing touched.
        position: farthest outside the limits of position, rad or m; 0: inside.
        velocity: largest share of a limit, by differences of positions.
        acceleration: the same.
        jerk: the same.
    """

    collisions: frozenset[tuple[str, str]]
    deepest_m: float
    position: float
    velocity: float
    acceleration: float
    jerk: float

    def faults(self, spare: float = 1.02) -> list[str]:
        """Return what must not have been, for people.

        Args:
            spare: shares of limits that still pass; differences of samples round.
        """
        found = [f"{a} touched {b}" for a, b in sorted(self.collisions)]
        if self.position > 1e-6:
            found.append(f"position {self.position:.5f} outside")
        for name in ("velocity", "acceleration", "jerk"):
            if getattr(self, name) > spare:
                found.append(f"{getattr(self, name):.3f} of the {name} limit")
        return found


class Referee:
    """Looks at executed motions.

    Args:
        source: MJCF file of the robot, with its own collision shapes and exclusions.
        joint_names: order of positions.
        blocks: what stands around it.
    """

    def __init__(
        self, source: str | Path, joint_names: Sequence[str], blocks: Sequence[Block] = ()
    ) -> None:
        spec = mujoco.MjSpec.from_file(str(source))
        for block in blocks:
            spec.worldbody.add_geom(
                name=block.name,
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=list(block.half),
                pos=list(block.at),
            )
        self._m: Any = spec.compile()
        self._d: Any = mujoco.MjData(self._m)
        joints = [self._m.joint(name) for name in joint_names]
        self._columns = [int(j.qposadr[0]) for j in joints]
        self.lower = np.array([j.range[0] for j in joints])
        self.upper = np.array([j.range[1] for j in joints])

    def judge(
        self,
        q: Matrix,
        dt_s: float,
        *,
        velocity: Vector,
        acceleration: Vector,
        jerk: Vector,
        true_q: Matrix | None = None,
    ) -> Verdict:
        """Return what a motion did.

        Args:
            q: as commanded [n, nq], samples of equal distance.
            dt_s: between samples.
            velocity: limits [nq].
            acceleration: limits [nq].
            jerk: limits [nq].
            true_q: where the arm really was [n, nq]; None: as commanded.
        """
        touched: set[tuple[str, str]] = set()
        deepest = 0.0
        for row in q if true_q is None else true_q:
            depth, pairs = self.contacts(row)
            deepest, touched = max(deepest, depth), touched | pairs
        over = np.maximum(q - self.upper, self.lower - q)
        shares = []
        for order, limit in enumerate((velocity, acceleration, jerk), start=1):
            rate = np.diff(q, n=order, axis=0) / dt_s**order
            shares.append(float((np.abs(rate) / limit).max()) if len(rate) else 0.0)
        return Verdict(frozenset(touched), deepest, max(float(over.max()), 0.0), *shares)

    def contacts(self, q: Vector) -> tuple[float, set[tuple[str, str]]]:
        """Return how deep something overlaps at q [nq], and which."""
        m, d = self._m, self._d
        d.qpos[self._columns] = q
        mujoco.mj_kinematics(m, d)
        mujoco.mj_collision(m, d)
        if d.ncon == 0:
            return 0.0, set()
        deepest, pairs = 0.0, set()
        for geoms, distance in zip(d.contact.geom, d.contact.dist, strict=True):
            if distance < 0:
                deepest = max(deepest, -float(distance))
                a, b = sorted(self._name(int(g)) for g in geoms)
                pairs.add((a, b))
        return deepest, pairs

    def _name(self, geom: int) -> str:
        body = int(self._m.geom_bodyid[geom])
        return self._m.geom(geom).name if body == 0 else self._m.body(body).name
