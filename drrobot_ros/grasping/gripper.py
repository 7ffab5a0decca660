"""A robot's parallel gripper, found in its description: fingers, opening, pads and approach.

Fingers are what one joint (with those that follow it), or two joints of one kind at one link, moves
in opposite directions. The tool frame lies between the pads: x along the pads' width, y from one
finger to the other, z away from the palm.
"""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.control.shapes import link_shapes
from drrobot_ros.errors import InputError, ModelError, unknown_name
from drrobot_ros.grasping.config import GripperConfig
from drrobot_ros.robot import RobotModel

Floats = NDArray[np.float64]

_STEPS = 17  # openings in the table
_PAD_M = 0.0012  # what is so near to the foremost part of a finger, seen from the other, is its pad


@dataclasses.dataclass(frozen=True, eq=False)
class Gripper:
    """A parallel gripper.

    Attributes:
        model: the robot it belongs to.
        palm: name of the link that carries the fingers.
        joints: names of the joints that open and close it, one or two.
        open_q: their position at the widest opening.
        closed_q: their position when shut.
        T_palm_tool: [4, 4] the tool frame at the widest opening, see the module.
        fractions: [n] 0 shut to 1 open.
        gaps_m: [n] distance between the pads at these.
        depths_m: [n] how far the pads are along z of the tool frame at these, m.
        pad_half_m: half width (x) and half depth (z) of the pads.
        sides: names of the links of either finger.
        hand: names of the links that are the hand: what is fixed to the palm, and the fingers.
    """

    model: RobotModel
    palm: str
    joints: tuple[str, ...]
    open_q: tuple[float, ...]
    closed_q: tuple[float, ...]
    T_palm_tool: Floats
    fractions: Floats
    gaps_m: Floats
    depths_m: Floats
    pad_half_m: tuple[float, float]
    sides: tuple[tuple[str, ...], tuple[str, ...]]
    hand: tuple[str, ...]

    @property
    def max_gap_m(self) -> float:
        """The widest opening."""
        return float(self.gaps_m[-1])

    @property
    def min_gap_m(self) -> float:
        """The distance between the pads when shut."""
        return float(self.gaps_m[0])

    def fraction(self, gap_m: Any) -> Any:
        """Return how far it is open, 0 to 1, for a distance between the pads; clipped."""
        return np.interp(gap_m, self.gaps_m, self.fractions)

    def depth_m(self, gap_m: Any) -> Any:
        """Return where the pads are along z of the tool frame at a distance between them."""
        return np.interp(gap_m, self.gaps_m, self.depths_m)

    def set(self, q: Floats, gap_m: float) -> Floats:
        """Return q [..., nq] with the gripper's joints moved to a distance between the pads."""
        q, f = np.array(q, np.float64), self.fraction(gap_m)
        for name, shut, wide in zip(self.joints, self.closed_q, self.open_q, strict=True):
            q[..., self.model.joint_q_index(name)] = shut + f * (wide - shut)
        return q

    def gap_of(self, q: Floats) -> float:
        """Return the distance between the pads at q [nq]."""
        k = self.model.joint_q_index(self.joints[0])
        f = (q[k] - self.closed_q[0]) / (self.open_q[0] - self.closed_q[0])
        return float(np.interp(f, self.fractions, self.gaps_m))

    @cached_property
    def arm_joints(self) -> tuple[str, ...]:
        """Names of the other joints of the robot."""
        return tuple(n for n in self.model.joint_names if n not in self.joints)

    def motor_forces(self, force_n: float) -> dict[str, float]:
        """Return what the joints' motors must give at most for each pad to press with a force."""
        middle = np.diff(self.gaps_m) / np.diff(self.fractions)
        rate = float(np.median(np.abs(middle)))  # m of gap from shut to open
        found = {}
        for name, a, b in zip(self.joints, self.closed_q, self.open_q, strict=True):
            # Virtual work: the motor's force times its travel is the pads' times the gap's.
            found[name] = force_n * rate / abs(b - a) / len(self.joints)
        return found

    @cached_property
    def boxes(self) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """The hand's shapes at the widest opening as boxes along the tool's axes, tool frame.

        Returns:
            Lower corners [B, 3], upper corners [B, 3], and which of them belong to fingers [B].
        """
        return self._boxes(self.max_gap_m)

    def boxes_at(self, gap_m: float) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """As `boxes`, at another distance between the pads."""
        return self._boxes(gap_m)

    def _boxes(self, gap_m: float) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        q = self.set(self.model.home().numpy(), gap_m)
        T = self.model.forward_kinematics(torch.from_numpy(q)).numpy()
        T_tool = T[self.model.link_index(self.palm)] @ self.T_palm_tool
        low, high, finger = [], [], []
        moving = {name for side in self.sides for name in side}
        for name in self.hand:
            row = self.model.link_index(name)
            for shape in link_shapes(self.model, row):
                points = _moved(np.linalg.inv(T_tool) @ T[row], shape.outline())
                low.append(points.min(0))
                high.append(points.max(0))
                finger.append(name in moving)
        low, high, finger = np.array(low), np.array(high), np.array(finger)
        kept: list[int] = []
        for i in np.argsort(-np.prod(high - low, axis=1)):  # small ones inside larger say nothing
            if not any(
                finger[k] == finger[i]
                and (low[k] <= low[i] + 5e-4).all()
                and (high[k] >= high[i] - 5e-4).all()
                for k in kept
            ):
                kept.append(int(i))
        return low[kept], high[kept], finger[kept]


def find_gripper(model: RobotModel, config: GripperConfig | None = None) -> Gripper:
    """Find the parallel gripper of a robot.

    Args:
        model: the robot, with the shapes of its fingers.
        config: what to take instead of what would be found.

    Raises:
        ModelError: there is none, or several; the message names the joints that could be meant.
        InputError: the settings name a joint or link that is not there.
    """
    config = config or GripperConfig()
    for name in config.joints:
        if name not in model.joint_names:
            raise unknown_name("joint", name, model.joint_names)
    choices = [config.joints] if config.joints else _choices(model)
    found, reasons = [], []
    for joints in choices:
        try:
            found.append(_measure(model, tuple(joints), config))
        except ModelError as error:
            reasons.append(f"{', '.join(joints)}: {error}")
    if len(found) == 1:
        return found[0]
    if not found:
        why = "; ".join(reasons) or "no two links move against each other"
        raise ModelError(f"{model.name!r} has no parallel gripper that can be found ({why})")
    names = "; ".join(", ".join(g.joints) for g in found)
    raise ModelError(f"{model.name!r} has several grippers ({names}); set gripper.joints to one")


def read_gripper_config(path: str | Path) -> GripperConfig:
    """Read the settings of a gripper from a yaml file, a mapping of `GripperConfig`'s fields.

    Raises:
        InputError: it cannot be read, or a key or value is wrong.
    """
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot read a gripper from {path}: {error}") from error
    fields = [f.name for f in dataclasses.fields(GripperConfig)]
    if not isinstance(data, dict):
        raise InputError(f"{path} must be a mapping of: {', '.join(fields)}")
    for key in data:
        if key not in fields:
            raise unknown_name("setting of a gripper", key, fields)
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return GripperConfig(**given)


def _rows_of(model: RobotModel, joint: str) -> list[int]:
    k = model.joint_q_index(joint)
    return [r for r in range(len(model.tree)) if model.tree.q_index[r] == k]


def _is_above(model: RobotModel, upper: int, row: int) -> bool:
    while row >= 0:
        if row == upper:
            return True
        row = int(model.tree.parent[row])
    return False


def _choices(model: RobotModel) -> list[tuple[str, ...]]:
    """Return sets of joints that may be a gripper's: a coupled one, or two siblings at an end."""
    tree, found = model.tree, []
    single = []
    for name in model.joint_names:
        rows = _rows_of(model, name)
        if len(rows) > 1:
            tops = [r for r in rows if not any(o != r and _is_above(model, o, r) for o in rows)]
            if len(tops) > 1:
                found.append((name,))
        elif len(rows) == 1:
            single.append((name, rows[0]))
    for i, (first, a) in enumerate(single):
        for second, b in single[i + 1 :]:
            same = tree.parent[a] == tree.parent[b] and tree.joint_type[a] == tree.joint_type[b]
            if same and _is_leaf(model, a) and _is_leaf(model, b):
                found.append((first, second))
    return found


def _is_leaf(model: RobotModel, row: int) -> bool:
    tree = model.tree
    return not any(
        tree.q_index[r] >= 0 and r != row and _is_above(model, row, r) for r in range(len(tree))
    )


def _measure(model: RobotModel, joints: tuple[str, ...], config: GripperConfig) -> Gripper:
    rows = [r for joint in joints for r in _rows_of(model, joint)]
    palm = _palm(model, rows, config)
    moving = [
        r
        for r in range(len(model.tree))
        if any(_is_above(model, o, r) for o in rows) and link_shapes(model, r)
    ]
    if len(moving) < 2:
        raise ModelError("it moves fewer than two links that have shapes")
    ends = np.array([[model.lower[model.joint_q_index(j)] for j in joints],
                     [model.upper[model.joint_q_index(j)] for j in joints]])  # fmt: skip
    if not np.isfinite(ends).all():
        raise ModelError("its joints have no limits")
    clouds = {r: _points(model, r) for r in moving}
    home = model.home().numpy()

    def place(values: Floats) -> dict[int, Floats]:
        q = home.copy()
        for joint, value in zip(joints, values, strict=True):
            q[model.joint_q_index(joint)] = value
        T = model.forward_kinematics(torch.from_numpy(q)).numpy()
        to_palm = np.linalg.inv(T[palm])
        return {r: _moved(to_palm @ T[r], clouds[r]) for r in moving}

    at_ends = [place(end) for end in ends]
    travel = {r: (at_ends[1][r] - at_ends[0][r]).mean(0) for r in moving}
    axis = _closing_axis(np.array(list(travel.values())))
    sides = [[r for r in moving if (travel[r] @ axis) * s > 1e-4] for s in (1, -1)]
    if not sides[0] or not sides[1]:
        raise ModelError("its links do not move against each other")
    tops = [np.concatenate([at[r] for r in moving]) for at in at_ends]
    approach = _approach(model, palm, axis, np.concatenate(tops), config)
    width = np.cross(axis, approach)
    R = np.stack([width, axis, approach], axis=1)
    # The finger on the +y side is the one whose points lie there.
    mean = [np.concatenate([at_ends[0][r] for r in side]).mean(0) @ axis for side in sides]
    if mean[0] < mean[1]:
        sides.reverse()
    pads = [_padded(travel, side, axis) for side in sides]

    def gap(at: dict[int, Floats]) -> tuple[float, Floats, tuple[float, float]]:
        return _gap(_side(at, pads[0]) @ R, _side(at, pads[1]) @ R)

    shut, wide = (0, 1) if gap(at_ends[0])[0] < gap(at_ends[1])[0] else (1, 0)
    fractions = np.linspace(0, 1, _STEPS)
    measured = []
    for f in fractions:
        measured.append(gap(place(ends[shut] + f * (ends[wide] - ends[shut]))))
    table = np.array([m[0] for m in measured])
    if config.max_gap_m:
        table = np.minimum(table, config.max_gap_m)
    if not (np.diff(table) > -1e-6).all() or table[-1] - table[0] < 5e-3:
        raise ModelError("its opening does not grow with the joint, or hardly at all")
    centre = measured[-1][1]
    depth = np.array([m[1][2] - centre[2] for m in measured])
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, R @ centre
    names = model.link_names
    hand = [r for r in range(len(names)) if _fixed_to(model, palm, r)] + moving
    return Gripper(
        model=model,
        palm=names[palm],
        joints=joints,
        open_q=tuple(map(float, ends[wide])),
        closed_q=tuple(map(float, ends[shut])),
        T_palm_tool=T,
        fractions=fractions,
        gaps_m=np.asarray(np.maximum.accumulate(table) + np.arange(_STEPS) * 1e-9, np.float64),
        depths_m=depth,
        pad_half_m=measured[-1][2],
        sides=(tuple(names[r] for r in sides[0]), tuple(names[r] for r in sides[1])),
        hand=tuple(names[r] for r in hand),
    )


def _palm(model: RobotModel, rows: list[int], config: GripperConfig) -> int:
    if config.palm:
        return model.link_index(config.palm)
    row = int(model.tree.parent[rows[0]])
    while not all(_is_above(model, row, r) for r in rows):
        row = int(model.tree.parent[row])
    return row


def _fixed_to(model: RobotModel, palm: int, row: int) -> bool:
    def top(r: int) -> int:
        while model.tree.q_index[r] < 0 and model.tree.parent[r] >= 0:
            r = int(model.tree.parent[r])
        return r

    return top(row) == top(palm)


def _padded(travel: dict[int, Floats], side: list[int], axis: Floats) -> list[int]:
    """Return the links of a side that can carry the pad: those that travel farthest."""
    far = {row: abs(float(travel[row] @ axis)) for row in side}
    return [row for row in side if far[row] > 0.9 * max(far.values())]


def _closing_axis(travel: Floats) -> Floats:
    """Return the direction in which the links move against each other most."""
    apart = travel - travel.mean(0)
    _, _, rows = np.linalg.svd(apart)
    axis = rows[0]
    return _snapped(axis)


def _snapped(direction: Floats) -> Floats:
    """Return a unit vector; one near to a coordinate axis becomes that axis."""
    unit = direction / np.linalg.norm(direction)
    k = int(np.abs(unit).argmax())
    axis = np.eye(3)[k] * np.sign(unit[k])
    return axis if abs(unit[k]) > np.cos(np.radians(8)) else unit


def _approach(
    model: RobotModel, palm: int, axis: Floats, fingers: Floats, config: GripperConfig
) -> Floats:
    """Return the direction from the palm to the fingertips, square to the closing axis."""
    if config.approach_axis:
        given = np.asarray(config.approach_axis)
    else:
        own = [s.outline() for s in link_shapes(model, palm)]
        middle = np.concatenate(own).mean(0) if own else np.zeros(3)
        given = (fingers.min(0) + fingers.max(0)) / 2 - middle
    given = given - axis * (axis @ given)
    if np.linalg.norm(given) < 1e-6:
        raise ModelError("which way its fingers point cannot be told; set gripper.approach_axis")
    return _snapped(given)


def _points(model: RobotModel, row: int) -> Floats:
    """Return points [P, 3] on the convex shapes of a link, about 2 mm apart."""
    import trimesh

    clouds = []
    for shape in link_shapes(model, row):
        hull = trimesh.convex.convex_hull(shape.outline())
        count = int(np.clip(hull.area / 2e-6, 200, 4000))
        points = trimesh.sample.sample_surface(hull, count, seed=0)[0]
        clouds += [hull.vertices, points]
    return np.concatenate(clouds)


def _side(at: dict[int, Floats], rows: list[int]) -> Floats:
    return np.concatenate([at[r] for r in rows])


def _gap(first: Floats, second: Floats) -> tuple[float, Floats, tuple[float, float]]:
    """Return distance of two fingers along y, the middle between their pads, and the pads' size.

    Args:
        first: points [P, 3] of the finger on the +y side, axes of the tool.
        second: points of the other one.

    Returns:
        Gap in m, middle [3] of the pads, half width (x) and half depth (z).
    """
    edge = first[:, 1].min(), second[:, 1].max()
    pads = [first[first[:, 1] < edge[0] + _PAD_M], second[second[:, 1] > edge[1] - _PAD_M]]
    low = np.max([p.min(0) for p in pads], axis=0)
    high = np.min([p.max(0) for p in pads], axis=0)
    if (high[[0, 2]] <= low[[0, 2]]).any():  # they do not face each other
        both = np.concatenate(pads)
        low, high = both.min(0), both.max(0)
    middle = (low + high) / 2
    middle[1] = (edge[0] + edge[1]) / 2
    half = (high - low) / 2
    return max(edge[0] - edge[1], 0.0), middle, (float(half[0]), float(half[2]))


def _moved(T: Floats, points: Floats) -> Floats:
    return points @ T[:3, :3].T + T[:3, 3]
