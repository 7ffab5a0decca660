"""Antipodal grasps on a mesh, and how good they are by geometry alone.

Two contacts hold an object by friction alone where the line between them lies in both friction
cones (Nguyen, "Constructing force-closure grasps", 1988). Candidates are sampled on the surface,
turned about that line, and kept where the open hand with its way in is free.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.grasping import surface
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.gripper import Gripper
from drrobot_ros.grasping.scene import GraspObject, GraspScene

Floats = NDArray[np.float64]

_POSES = 600  # whose way is looked at
_SPACING_M = 0.004  # of the points that stand for the scene's surfaces
_SEEN_COS = -0.1  # what looks at the camera was seen, and where the outline is, is known too
_LEVEL = 0.97  # cosine to the support's normal from which a surface counts as level
_PAD_END = 0.8  # contacts are kept off the outermost part of the pads
_TOLERANCE_M = 0.0005  # of inverse kinematics
_PAD_REACH_M = 0.0025  # what lies so near behind the foremost point of a pad's footprint touches it


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Grasps of one object, best first; every array has one row per grasp.

    Attributes:
        T_base_tool: [n, 4, 4] of the gripper's tool frame when it closes.
        width_m: [n] distance of the contacts.
        gap_m: [n] opening on the way in.
        score: [n] 0 to 1, the product of those below.
        friction_margin: [n] how far inside the friction cones, 0 to 1.
        balance: [n] 1 where the contacts' line passes through the centre of mass.
        seen: [n] share of the contacts on surface that was seen.
        coverage: [n] share of the pads that touches.
        contact_m: [n, 3] middle between the contacts, base frame.
        rejected: how many samples were lost at each stage, by its name.
    """

    T_base_tool: Floats
    width_m: Floats
    gap_m: Floats
    score: Floats
    friction_margin: Floats
    balance: Floats
    seen: Floats
    coverage: Floats
    contact_m: Floats
    rejected: dict[str, int]

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: NDArray[np.integer]) -> "Candidates":
        """Return some of them, in the order of the rows."""
        arrays = {
            f.name: getattr(self, f.name)[rows]
            for f in dataclasses.fields(self)
            if f.name != "rejected"
        }
        return Candidates(**arrays, rejected=self.rejected)


def find_candidates(
    gripper: Gripper, scene: GraspScene, target: GraspObject, config: GraspConfig | None = None
) -> Candidates:
    """Return grasps of an object that are free of the scene, best first, none like another.

    Args:
        gripper: that closes.
        scene: what else is there.
        target: one of its objects.
        config: see `GraspConfig`.
    """
    config = config or GraspConfig()
    rng = np.random.default_rng(config.seed)
    first, second, normals, lost = _pairs(gripper, scene, target, config, rng)
    rejected = {"samples": config.samples, "antipodal": len(first), **lost}
    poses = _turned(gripper, first, second, normals, scene, config)
    rejected["turned"] = len(poses.width_m)
    cloud, others = _clouds(scene, target, rng)
    poses = _above_ground(gripper, poses, scene, config)
    rejected["above_ground"] = len(poses)
    poses = poses.take(_spread(poses, _POSES, rng))
    poses = _free(gripper, poses, cloud, others, scene, config, target)
    rejected["free"] = len(poses.width_m)
    poses = dataclasses.replace(poses, rejected=rejected)
    return poses.take(_unlike(poses))


def _pairs(
    gripper: Gripper,
    scene: GraspScene,
    target: GraspObject,
    config: GraspConfig,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats, dict[str, int]]:
    """Return pairs of contacts [n, 3] each, base frame, and their normals [n, 2, 3]."""
    vertices, faces = target.base_vertices, np.asarray(target.faces)
    points, normals, _ = surface.sample(vertices, faces, 4 * config.samples, rng)
    # Whoever comes from above cannot close on what looks up or down.
    steep = np.radians(config.steepest_deg) + np.arctan(config.friction)
    sideways = np.abs(normals @ scene.normal) <= np.sin(min(steep, np.pi / 2))
    chosen = np.flatnonzero(sideways & (np.abs(normals @ scene.normal) < _LEVEL))
    chosen = rng.permutation(chosen)[: config.samples]
    points, normals = points[chosen], normals[chosen]
    normals = _smoothed(vertices, faces, points, normals, rng)
    cone = np.arctan(config.friction)
    # The pad need not meet the surface squarely: some lines lean within the cone.
    lean = np.tan(0.6 * cone) * rng.random((len(points), 1)) * (rng.random((len(points), 1)) < 0.5)
    side = np.cross(normals, _unit(rng.normal(size=points.shape)))
    direction = _unit(-normals + lean * side)
    rows, hit, far = surface.crossings(points, direction, vertices, faces)
    fits = far <= gripper.max_gap_m - 2 * config.side_clearance_m
    fits &= far >= gripper.min_gap_m
    rows, hit, far = rows[fits], hit[fits], far[fits]
    ends = points[rows] + far[:, None] * direction[rows]
    corners = vertices[faces[hit]]
    other = _unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    if len(rows):
        other = _smoothed(vertices, faces, ends, other, rng)
    line = direction[rows]
    lean_first = np.arccos(np.clip(-(normals[rows] * line).sum(1), -1, 1))
    lean_second = np.arccos(np.clip((other * line).sum(1), -1, 1))
    good = np.maximum(lean_first, lean_second) < cone
    both = np.stack([normals[rows], other], axis=1)
    return points[rows][good], ends[good], both[good], {"too_wide": int((~fits).sum())}


def _smoothed(
    vertices: Floats, faces: NDArray[np.integer], points: Floats, normals: Floats,
    rng: np.random.Generator,
) -> Floats:  # fmt: skip
    """Return normals as a pad feels them: the mean of what is near and looks the same way."""
    from scipy.spatial import KDTree

    count = int(np.clip(surface.area(vertices, faces) / 4e-6, 500, 6000))
    near, their, _ = surface.sample(vertices, faces, count, rng)
    _, index = KDTree(near).query(points, k=8, distance_upper_bound=0.007)
    valid = index < len(near)
    other = their[np.minimum(index, len(near) - 1)]
    like = valid & ((other * normals[:, None]).sum(2) > 0.5)
    return _unit((other * like[..., None]).sum(1) + normals)


def _turned(
    gripper: Gripper, first: Floats, second: Floats, normals: Floats, scene: GraspScene,
    config: GraspConfig,
) -> Candidates:  # fmt: skip
    """Return hand poses about each pair, those that come from below left out."""
    n, turns = len(first), config.turns
    width = np.linalg.norm(first - second, axis=1)
    y = _unit(first - second)
    start = _unit(np.cross(y, scene.normal) + 1e-9)
    angle = np.linspace(0, 2 * np.pi, turns, endpoint=False)
    across = np.cross(y, start)
    z = (
        np.cos(angle)[None, :, None] * start[:, None]
        + np.sin(angle)[None, :, None] * across[:, None]
    )
    steep = -(z @ scene.normal) >= np.cos(np.radians(config.steepest_deg))
    row, turn = np.nonzero(steep)
    # With the contacts in the pads' middle, and nearer to their tips.
    back = np.array([0.0, 0.55]) * gripper.pad_half_m[1]
    row, turn, pick = np.repeat(row, 2), np.repeat(turn, 2), np.tile([0, 1], len(row))
    z = z[row, turn]
    R = np.stack([np.cross(y[row], z), y[row], z], axis=2)
    T = np.tile(np.eye(4), (len(row), 1, 1))
    T[:, :3, :3] = R
    depth = gripper.depth_m(width[row]) + back[pick]
    T[:, :3, 3] = (first[row] + second[row]) / 2 - z * depth[:, None]
    lean = np.stack([(normals[:, 0] * y).sum(1), -(normals[:, 1] * y).sum(1)], axis=1)
    worst = np.arccos(np.clip(lean, -1, 1)).max(1) if n else np.zeros(0)
    margin = np.clip(1 - worst / np.arctan(config.friction), 0, 1)
    seen = _seen(np.stack([first, second], axis=1), normals, scene)
    ones = np.ones(len(row))
    middle = (first + second) / 2
    return Candidates(T, width[row], ones * gripper.max_gap_m, margin[row] * ones, margin[row],
                      ones, seen[row], ones, middle[row], {})  # fmt: skip


def _seen(points: Floats, normals: Floats, scene: GraspScene) -> Floats:
    """Return the share of contacts [n, 2, 3] on surface that looks towards the camera."""
    if scene.T_base_camera is None:
        return np.ones(len(points))
    towards = _unit(scene.T_base_camera[:3, 3] - points)
    return ((normals * towards).sum(2) > _SEEN_COS).mean(1)


def _clouds(
    scene: GraspScene, target: GraspObject, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return points [P, 3] on the target, and on everything else that is near."""
    clouds = {}
    for thing in scene.objects:
        vertices = thing.base_vertices
        count = int(np.clip(surface.area(vertices, thing.faces) / _SPACING_M**2, 200, 4000))
        clouds[thing.name] = surface.sample(vertices, thing.faces, count, rng)[0]
    others = [c for name, c in clouds.items() if name != target.name]
    return clouds[target.name], np.concatenate([*others, np.zeros((0, 3))])


def _spread(poses: Candidates, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return rows of at most so many, the better ones rather than the worse."""
    if len(poses) <= most:
        return np.arange(len(poses))
    weight = 0.1 + poses.score
    key = rng.random(len(weight)) ** (1 / weight)
    return np.argsort(-key)[:most]


def _free(
    gripper: Gripper,
    poses: Candidates,
    cloud: Floats,
    others: Floats,
    scene: GraspScene,
    config: GraspConfig,
    target: GraspObject,
) -> Candidates:
    """Keep those whose hand is free all the way in; centre them on what they close on; score."""
    centre = np.concatenate([np.asarray(p).mean(0)[None] for p in target.pieces]).mean(0)
    centre = target.T_base_object[:3, :3] @ centre + target.T_base_object[:3, 3]
    size = np.linalg.norm(cloud.max(0) - cloud.min(0)) / 2
    levels = np.linspace(gripper.min_gap_m, gripper.max_gap_m, 9)[1:]
    boxes = [gripper.boxes_at(level) for level in levels]
    kept: list[int] = []
    T_out, gap_out, width_out, score_out, balance_out, cover_out = [], [], [], [], [], []
    half_x, half_z = gripper.pad_half_m
    for i in range(len(poses)):
        T = poses.T_base_tool[i]
        R, origin = T[:3, :3], T[:3, 3]
        own = (cloud - origin) @ R
        # What the pads sweep over when they close.
        depth = float(gripper.depth_m(poses.width_m[i]))
        swept = own[(np.abs(own[:, 0]) < half_x) & (np.abs(own[:, 2] - depth) < half_z)]
        swept = swept[np.abs(swept[:, 1]) < gripper.max_gap_m / 2]
        if len(swept) < 4:
            continue
        low, high = swept[:, 1].min(), swept[:, 1].max()
        width, shift = high - low, (low + high) / 2
        if width > gripper.max_gap_m - 2 * config.side_clearance_m:
            continue
        cover = min(
            (swept[:, 1] > high - _PAD_REACH_M).sum(), (swept[:, 1] < low + _PAD_REACH_M).sum()
        ) / (4 * half_x * half_z / _SPACING_M**2)
        origin = origin + R[:, 1] * shift
        own = own - [0, shift, 0]
        near = (others - origin) @ R
        least = width + 2 * (config.clearance_m + config.pose_error_m)
        first = int(np.searchsorted(levels, least))
        for k in (len(levels) - 1, min(first, len(levels) - 1)):
            if _clear(boxes[k], own, near, config):
                balance = _off(centre, origin + R[:, 2] * depth, R[:, 1]) / max(size, 1e-3)
                kept.append(i)
                T_new = T.copy()
                T_new[:3, 3] = origin
                T_out.append(T_new)
                gap_out.append(levels[k])
                width_out.append(width)
                balance_out.append(np.exp(-((balance / 0.6) ** 2)))
                cover_out.append(min(cover / 0.35, 1.0))
                score_out.append(0.0)
                break
    rows = np.array(kept, int)
    some = poses.take(rows)
    if not kept:
        return some
    balance, cover = np.array(balance_out), np.array(cover_out)
    slack = (gripper.max_gap_m - np.array(width_out)) / 2
    room = np.clip(slack / (config.clearance_m + 2 * config.pose_error_m), 0, 1)
    down = -(np.array(T_out)[:, :3, 2] @ scene.normal)
    score = (
        (0.25 + 0.75 * some.friction_margin)
        * (0.2 + 0.8 * balance)
        * (0.2 + 0.8 * cover)
        * (0.4 + 0.6 * room)
        * (config.unseen_weight + (1 - config.unseen_weight) * some.seen)
        * (0.7 + 0.3 * np.clip(down, 0, 1))
    )
    some = Candidates(np.array(T_out), np.array(width_out), np.array(gap_out), score,
                      some.friction_margin, balance, some.seen, cover, some.contact_m,
                      {})  # fmt: skip
    return some.take(np.argsort(-score, kind="stable"))


def _above_ground(
    gripper: Gripper, poses: Candidates, scene: GraspScene, config: GraspConfig
) -> Candidates:
    """Return those whose hand stays above the plane, open and closed on what it holds.

    Fingers of a linkage go forward as they close. A hand that would come too near to the plane is
    drawn back along its approach as far as the contacts stay on the pads.
    """
    T = poses.T_base_tool.copy()
    up = T[:, :3, :3].transpose(0, 2, 1) @ scene.normal  # [n, 3] in the tool frame
    levels = np.linspace(gripper.min_gap_m, gripper.max_gap_m, 9)
    # The next smaller opening: the fingers have gone at least as far forward.
    level = np.searchsorted(levels, poses.width_m, side="right") - 1
    lowest = np.full(len(up), np.inf)
    for k in range(len(levels)):
        rows = np.flatnonzero(level == k) if k < len(levels) - 1 else np.arange(len(up))
        if len(rows):
            corners = _corners(*gripper.boxes_at(levels[k])[:2])
            lowest[rows] = np.minimum(lowest[rows], (up[rows] @ corners.T).min(1))
    height = lowest + T[:, :3, 3] @ scene.normal - scene.offset_m
    down = np.maximum(-up[:, 2], 1e-3)
    middle = (T[:, :3, 3] * T[:, :3, 2]).sum(1) + gripper.depth_m(poses.width_m)
    spent = (poses.contact_m * T[:, :3, 2]).sum(1) - middle
    room = np.maximum(_PAD_END * gripper.pad_half_m[1] - spent, 0.0)
    back = np.clip((config.ground_clearance_m - height) / down, 0.0, room)
    T[:, :3, 3] -= back[:, None] * T[:, :3, 2]
    least = min(config.ground_clearance_m, config.near_margin_m + _TOLERANCE_M)
    moved = dataclasses.replace(poses, T_base_tool=T)
    return moved.take(np.flatnonzero(height + back * down > least))


def _corners(low: Floats, high: Floats) -> Floats:
    signs = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    return (low[:, None] + signs * (high - low)[:, None]).reshape(-1, 3)


def _clear(
    boxes: tuple[Floats, Floats, NDArray[np.bool_]],
    own: Floats,
    near: Floats,
    config: GraspConfig,
) -> bool:
    """Tell whether a hand, with the way it comes, is free of points in its tool frame."""
    low, high, finger = boxes
    way = np.array([0, 0, config.approach_m])
    spare = config.clearance_m
    if _inside(near, low - way - spare, high + spare):
        return False
    # The target may come near to the fingers, which are to close on it, not to the palm.
    slack = np.where(finger, 0.0, spare)[:, None]
    return not _inside(own, low - way - slack, high + slack)


def _inside(points: Floats, low: Floats, high: Floats) -> bool:
    """Tell whether any of the points [P, 3] is in any of the boxes [B, 3]."""
    x, y, z = points.T
    (x0, y0, z0), (x1, y1, z1) = low.min(0), high.max(0)
    near = np.flatnonzero((x > x0) & (x < x1) & (y > y0) & (y < y1) & (z > z0) & (z < z1))
    if not len(near):
        return False
    some = points[near]
    return bool(((some[:, None] > low) & (some[:, None] < high)).all(2).any())


def _off(point: Floats, on_line: Floats, direction: Floats) -> float:
    gap = point - on_line
    return float(np.linalg.norm(gap - direction * (direction @ gap)))


def _unlike(poses: Candidates) -> NDArray[np.int64]:
    """Return rows in order without those that are much like a better one."""
    kept: list[int] = []
    at, R = poses.T_base_tool[:, :3, 3], poses.T_base_tool[:, :3, :3]
    for i in range(len(poses)):
        if kept:
            near = np.linalg.norm(at[kept] - at[i], axis=1) < 0.008
            same = (R[kept] * R[i]).sum((1, 2))  # 1 + 2 cos of the angle between
            if (near & (same > 1 + 2 * np.cos(np.radians(12)))).any():
                continue
        kept.append(i)
    return np.array(kept, int)


def _unit(v: Floats) -> Floats:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)
