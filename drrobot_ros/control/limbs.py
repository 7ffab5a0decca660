"""Which joints move together: the limbs of a robot, and how far along its way each joint is."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.robot import RobotModel

Vector = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Limbs:
    """Joints by limb: what hangs below the first fork (fingers), or the one chain of an arm.

    Attributes:
        trunk: [k] places in q of the joints before the fork; empty where there is none.
        limbs: places in q of each limb's joints, from the fork outward.
        low: [nq] rad or m, position limits; a turn for joints without any.
        high: [nq].
        rest: [nq] where it is at ease.
        travel: [nq] from rest to a joint's farther limit; 0 for joints that go about as far either
            way, which have no natural direction.
    """

    trunk: NDArray[np.int64]
    limbs: tuple[NDArray[np.int64], ...]
    low: Vector
    high: Vector
    rest: Vector
    travel: Vector

    @classmethod
    def of(cls, model: RobotModel, rest: Vector) -> "Limbs":
        """Return the limbs of a robot at ease at a configuration [nq]."""
        low, high = np.asarray(model.lower, float), np.asarray(model.upper, float)
        low = np.where(np.isfinite(low), low, -np.pi).clip(-np.pi)
        high = np.where(np.isfinite(high), high, np.pi).clip(max=np.pi)
        rest = np.clip(np.asarray(rest, float), low, high)
        up, down = high - rest, rest - low
        travel = np.where(up > 1.5 * down, up, np.where(down > 1.5 * up, -down, 0.0))
        trunk, limbs = _split(model)
        return cls(trunk, limbs, low, high, rest, travel)

    @property
    def branched(self) -> bool:
        """Whether there are several."""
        return len(self.limbs) > 1


def _split(model: RobotModel) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], ...]]:
    tree = model.tree
    below: list[list[int]] = [[] for _ in tree.parent]
    joints: list[set[int]] = [set() for _ in tree.parent]
    for row in range(len(tree.parent) - 1, -1, -1):  # children come after their parents
        if tree.v_index[row] >= 0:
            joints[row].add(int(tree.q_index[row]))
        if tree.parent[row] >= 0 and joints[row]:
            joints[int(tree.parent[row])] |= joints[row]
            below[int(tree.parent[row])].append(row)
    row, trunk = 0, set[int]()
    while True:
        if tree.v_index[row] >= 0:
            trunk.add(int(tree.q_index[row]))
        # Links that move by the same joint (mimicking fingers) are no fork.
        parts = {frozenset(joints[k] - trunk): k for k in below[row] if joints[k] - trunk}
        if len(parts) != 1:
            break
        row = next(iter(parts.values()))
    if not parts:
        return np.array([], np.int64), (np.array(sorted(trunk), np.int64),)
    limbs = sorted((sorted(part) for part in parts), key=lambda part: part[0])
    return np.array(sorted(trunk), np.int64), tuple(np.array(part, np.int64) for part in limbs)
