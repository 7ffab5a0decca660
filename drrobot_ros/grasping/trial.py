"""Trying grasps in physics: the hand alone comes, closes, lifts and shakes, in varied conditions.

What is tried is the scene as it was reconstructed. What a reconstruction cannot know is varied:
friction, mass, and where exactly the hand is against the object.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.grasping.candidates import Candidates
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.gripper import Gripper
from drrobot_ros.grasping.scene import GraspObject, GraspScene

if TYPE_CHECKING:
    from drrobot_ros.simulation.physics import PhysicsConfig

Floats = NDArray[np.float64]

#: Factors of friction and mass, and errors of the hand along x, y and z of its tool frame, in parts
#: of the pose error.
CONDITIONS = (
    (1.0, 1.0, (0.0, 0.0, 0.0)),
    (0.6, 1.5, (1.0, 1.0, 0.0)),
    (0.8, 1.0, (-1.0, -1.0, 1.0)),
    (0.6, 0.7, (0.0, 1.0, -1.0)),
)
_NEAR_M = 0.25  # neighbours farther away are left out
_WAY_S, _CLOSE_S, _LIFT_S, _SHAKE_S = 0.30, 0.35, 0.40, 0.5
_SHAKE_M, _SHAKE_HZ = 0.015, 3.0
_PUSHED_M = 0.015  # by which the hand may move it before it closes
_SLIP_M, _TURN_RAD = 0.02, 0.5  # against the hand, after which a grasp counts as lost


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """What became of one grasp.

    Attributes:
        held: which conditions it held under.
        score: share of them, less what the object slipped.
        why: of the first condition it failed under: touched, missed, dropped or slipped; empty if
            it held under all.
        T_hand_object: [4, 4] where the object is in the tool frame when lifted, or None.
    """

    held: tuple[bool, ...]
    score: float
    why: str
    T_tool_object: Floats | None


class GraspTrials:
    """Tries grasps of one object; the world is made once.

    Args:
        gripper: that grasps.
        scene: what is there.
        target: what is grasped; everything else stands still.
        config: see `GraspConfig`.
        physics: see `PhysicsConfig`.
    """

    def __init__(
        self,
        gripper: Gripper,
        scene: GraspScene,
        target: GraspObject,
        config: GraspConfig | None = None,
        physics: "PhysicsConfig | None" = None,
    ) -> None:
        from drrobot_ros.simulation.physics import PhysicsConfig, PhysicsWorld, Solid

        self._gripper, self._config, self._target = gripper, config or GraspConfig(), target
        self._normal = scene.normal
        solids = [
            Solid(
                thing.name,
                tuple(np.asarray(p, np.float64) for p in thing.pieces),
                thing.T_base_object,
                thing.mass_kg,
                thing.friction,
                fixed=thing is not target,
            )
            for thing in scene.objects
            if thing is target or _apart(thing, target) < _NEAR_M
        ]
        self._world = PhysicsWorld(
            gripper.model,
            solids,
            plane=(scene.normal, scene.offset_m),
            config=physics or PhysicsConfig(),
            hand=gripper.palm,
            forces=gripper.motor_forces(self._config.force_n),
        )
        self._hand = set(gripper.hand)
        self._neighbours = {s.name for s in solids} - {target.name}

    def run(self, grasps: Candidates, row: int) -> TrialResult:
        """Try one grasp under all conditions."""
        T, gap = grasps.T_base_tool[row], float(grasps.gap_m[row])
        held, slips, why, seen = [], [], "", None
        for friction, mass, error in CONDITIONS:
            reason, slip, T_object = self._try(T, gap, friction, mass, np.array(error))
            held.append(not reason)
            slips.append(slip if not reason else 1.0)
            why = why or reason
            seen = T_object if seen is None else seen
            if len(held) == 2 and not any(held):  # hopeless
                held += [False] * (len(CONDITIONS) - 2)
                slips += [1.0] * (len(CONDITIONS) - 2)
                break
        kept = np.array(held)
        score = float((kept * (1 - 0.5 * np.clip(np.array(slips), 0, 1))).mean())
        return TrialResult(tuple(map(bool, held)), score, why, seen)

    def _try(
        self, T_base_tool: Floats, gap_m: float, friction: float, mass: float, error: Floats
    ) -> tuple[str, float, Floats | None]:
        """Return why it failed, the slip as a share of the most allowed, and the object's pose."""
        world, target, config = self._world, self._target, self._config
        gripper = self._gripper
        T = T_base_tool.copy()
        T[:3, 3] += T[:3, :3] @ (error * [0.5, 1.0, 1.0]) * config.pose_error_m
        T_palm = T @ np.linalg.inv(gripper.T_palm_tool)
        world.reset()
        world.set_solid(
            target.name,
            target.T_base_object,
            friction=friction * max(target.friction, 0.2),
            mass_kg=mass * target.mass_kg,
        )
        home = gripper.model.home().numpy()
        world.place(gripper.set(home, gap_m))
        back = -T[:3, 2] * config.approach_m
        start = T_palm.copy()
        start[:3, 3] += back
        world.place_hand(start)
        world.move_hand(np.zeros(3))
        free = False

        def steady() -> None:
            # It stands in reality, whatever a reconstruction's bottom would do: until it is met.
            nonlocal free
            free = free or bool(world.touched_by(target.name) & self._hand)
            if not free:
                world.set_solid(target.name, target.T_base_object)

        def come(t: float) -> None:
            steady()
            world.move_hand(-back * _smooth(1.25 * t / _WAY_S))

        def close(t: float) -> None:
            steady()
            gap = gap_m + (gripper.min_gap_m - gap_m) * min(1.4 * t / _CLOSE_S, 1)
            world.target(gripper.set(home, gap))

        world.step(_WAY_S, come)
        if self._touches() or self._moved(target) > _PUSHED_M:
            return "touched", 1.0, None
        world.step(_CLOSE_S, close)
        T_closed = self._in_tool()
        up = self._normal * config.lift_m
        world.step(_LIFT_S, lambda t: world.move_hand(-back + up * _smooth(t / _LIFT_S)))
        if not self._is_held():
            return "missed", 1.0, None
        T_lifted = self._in_tool()
        sway = T[:3, 0], T[:3, 1]

        def shake(t: float) -> None:
            k = int(2 * t / _SHAKE_S) % 2
            swing = _SHAKE_M * np.sin(2 * np.pi * _SHAKE_HZ * t)
            world.move_hand(-back + up + sway[k] * swing)

        world.step(_SHAKE_S, shake)
        if not self._is_held():
            return "dropped", 1.0, None
        moved = np.linalg.inv(T_closed) @ self._in_tool()
        slip = float(np.linalg.norm(moved[:3, 3])) / _SLIP_M
        turn = float(np.arccos(np.clip((np.trace(moved[:3, :3]) - 1) / 2, -1, 1))) / _TURN_RAD
        worst = max(slip, turn)
        return ("slipped" if worst > 1 else ""), worst, T_lifted

    def _in_tool(self) -> Floats:
        T_tool = self._world.link_pose(self._gripper.palm) @ self._gripper.T_palm_tool
        return np.linalg.inv(T_tool) @ self._world.solid_pose(self._target.name)

    def _is_held(self) -> bool:
        touching = self._world.touched_by(self._target.name)
        sides = [touching & set(side) for side in self._gripper.sides]
        return bool(sides[0] and sides[1]) and "ground" not in touching

    def _touches(self) -> bool:
        """Tell whether the hand rests against a neighbour."""
        return any(self._world.touched_by(name) & self._hand for name in self._neighbours)

    def _moved(self, target: GraspObject) -> float:
        T = self._world.solid_pose(target.name)
        return float(np.linalg.norm(T[:3, 3] - target.T_base_object[:3, 3]))


def _apart(first: GraspObject, second: GraspObject) -> float:
    return float(np.linalg.norm(first.base_vertices.mean(0) - second.base_vertices.mean(0)))


def _smooth(s: float) -> float:
    """Return 0 to 1 with rest at both ends."""
    s = min(max(s, 0.0), 1.0)
    return s * s * s * (10 - 15 * s + 6 * s * s)
