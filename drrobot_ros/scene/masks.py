"""Masks of objects from their boxes, by depth and colour: nothing has to be downloaded.

What stands out of the plane is cut into parts at jumps of depth; each box takes the parts that fill
it; GrabCut (Rother et al., 2004), seeded by them, decides by colour where depth is missing or
coarse.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from drrobot_ros.scene.types import Floats, Mask

_MARGIN = 0.05  # a box may be wrong by this part of its size
_ROUNDS = 3
_CORE = 0.25  # a sure core: this part of the largest distance to the rim


def masks_from_boxes(
    color: NDArray[np.uint8],
    points: Floats,
    height_m: Floats,
    boxes: Floats,
    hidden: Mask,
    least_height_m: float,
) -> Mask:
    """Return the pixels of each object [N, H, W].

    Args:
        color: [H, W, 3] RGB.
        points: [H, W, 3] camera frame, m; 0 unknown.
        height_m: above the plane [H, W].
        boxes: [N, 4] px.
        hidden: pixels that are something else's, the robot's [H, W].
        least_height_m: what is lower may be the plane.
    """
    depth_m = points[..., 2].astype(np.float32)
    known = (depth_m > 0) & ~hidden
    above = known & (height_m > least_height_m)
    parts = _parts(depth_m, above)
    seeds = _seeds(parts, above, boxes, points)
    plane = known & (height_m < 0.5 * least_height_m)
    cores = np.stack([_core(seed) for seed in seeds])
    masks = np.zeros_like(seeds)
    for i, box in enumerate(boxes):
        others = np.delete(cores, i, axis=0).any(0) if len(boxes) > 1 else np.zeros_like(hidden)
        masks[i] = _grab_cut(color, box, seeds[i], cores[i], plane | hidden | others, known)
    return disjoint(masks, cores)


def disjoint(masks: Mask, cores: Mask) -> Mask:
    """Return masks [N, H, W] where a pixel of several is that of the nearest core."""
    import cv2

    masks = masks.copy()
    twice = masks.sum(0) > 1
    if twice.any():
        away = np.stack(
            [
                np.asarray(cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 3))
                for core in cores
            ]
        )
        owner = np.where(masks, away, np.inf).argmin(0)
        for i in range(len(masks)):
            masks[i] &= ~twice | (owner == i)
    return masks


def grown(box: Floats, part: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return rows and columns of a box made larger by a part of its size."""
    x1, y1, x2, y2 = box
    dx, dy = part * (x2 - x1) + 1, part * (y2 - y1) + 1
    rows = slice(max(0, int(y1 - dy)), min(shape[0], int(np.ceil(y2 + dy))))
    return rows, slice(max(0, int(x1 - dx)), min(shape[1], int(np.ceil(x2 + dx))))


def _parts(depth_m: NDArray[np.float32], above: Mask) -> NDArray[np.int32]:
    """Return the connected part of each pixel [H, W]; 0: none, or on a jump or a concave edge."""
    import cv2

    far = np.where(depth_m > 0, depth_m, 0)
    near = np.where(depth_m > 0, depth_m, 1e3)
    square = np.ones((3, 3), np.uint8)
    jump = np.asarray(cv2.dilate(far, square)) - np.asarray(cv2.erode(near, square))
    smooth = above & (jump < 0.012 + 0.01 * depth_m) & ~_concave(depth_m)
    _, parts = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)
    return np.asarray(parts, np.int32)


def _concave(depth_m: NDArray[np.float32], reach_px: int = 7, sag_m: float = 0.004) -> Mask:
    """Return where the surface is a valley [H, W]: there one thing meets another.

    Inverse depth is linear in the pixels of a plane, so that its second difference is zero there.
    """
    import cv2

    known = (depth_m > 0).astype(np.float32)
    inverse = known / np.maximum(depth_m, 1e-3)
    weight = np.asarray(cv2.GaussianBlur(known, (0, 0), 2.0))
    inverse = np.asarray(cv2.GaussianBlur(inverse, (0, 0), 2.0)) / np.maximum(weight, 1e-3)
    whole = weight > 0.6
    out = np.zeros(depth_m.shape, bool)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        step = (dy * reach_px, dx * reach_px)
        ahead, behind = _shifted(inverse, step), _shifted(inverse, (-step[0], -step[1]))
        there = _shifted(whole, step) & _shifted(whole, (-step[0], -step[1])) & whole
        sag = (0.5 * (ahead + behind) - inverse) * depth_m**2
        # A jump of depth is not a valley: the chord must be near on both sides.
        same = np.abs(ahead - behind) * depth_m**2 < 0.04
        out |= there & same & (sag > sag_m)
    return out


def _shifted(image: NDArray, step: tuple[int, int]) -> NDArray:
    return np.roll(image, step, axis=(0, 1))


def _seeds(parts: NDArray[np.int32], above: Mask, boxes: Floats, points: Floats) -> Mask:
    """Return what of each box depth says is its own [N, H, W]."""
    count = int(parts.max()) + 1
    whole = np.maximum(np.bincount(parts.ravel(), minlength=count), 1)
    share, score = np.zeros((len(boxes), count)), np.zeros((len(boxes), count))
    inside = np.zeros((len(boxes), *parts.shape), bool)
    for i, box in enumerate(boxes):
        window = grown(box, _MARGIN, parts.shape)
        inside[i][window] = True
        own = np.bincount(parts[window].ravel(), minlength=count)
        share[i] = own / whole
        score[i] = own * _fit(parts, window, box, np.flatnonzero(own > 0), count)
    share[:, 0] = score[:, 0] = 0
    mine = share > 0.5
    # A part of which several boxes have too little is several things that touch.
    together = np.bincount(parts[inside.any(0)], minlength=count) / whole
    shared = (~mine.any(0)) & (together > 0.5) & ((share > 0.02).sum(0) > 1)
    shared[0] = False
    owner = np.where(mine, score, -1).argmax(0)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    smallest = np.where(inside, area[:, None, None], np.inf).argmin(0)
    seeds = np.zeros_like(inside)
    for i in range(len(boxes)):
        own = _together(np.flatnonzero(mine[i] & (owner == i)), parts, points)
        seeds[i] = np.isin(parts, own)
        seeds[i] |= shared[parts] & inside[i] & (smallest == i)
        if seeds[i].sum() < 0.1 * (above & inside[i]).sum():
            seeds[i] |= above & inside[i] & (smallest == i)
        seeds[i] = _joined(seeds[i], above)
    return seeds


def _together(
    which: NDArray[np.int64], parts: NDArray[np.int32], points: Floats, gap_m: float = 0.03
) -> NDArray[np.int64]:
    """Return those parts that hang together in space with the largest: the others are behind it."""
    if len(which) < 2:
        return which
    clouds = [points[parts == k] for k in which]
    order = np.argsort([-len(cloud) for cloud in clouds])
    kept = [int(order[0])]
    rest = [int(k) for k in order[1:]]
    found = True
    while found and rest:
        tree = KDTree(np.concatenate([clouds[k][::2] for k in kept]))
        near = [k for k in rest if tree.query(clouds[k][::2])[0].min() < gap_m]
        kept, rest, found = kept + near, [k for k in rest if k not in near], bool(near)
    return which[np.array(kept)]


def _fit(
    parts: NDArray[np.int32],
    window: tuple[slice, slice],
    box: Floats,
    which: NDArray[np.int64],
    count: int,
) -> Floats:
    """Return how well parts fill the box: IoU of their bounding boxes with it [count]."""
    fit = np.zeros(count)
    for k in which[which > 0]:
        rows, columns = np.nonzero(parts[window] == k)
        y, x = rows + window[0].start, columns + window[1].start
        own = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], float)
        common = np.clip(np.minimum(own[2:], box[2:]) - np.maximum(own[:2], box[:2]), 0, None)
        area = common.prod()
        total = (own[2:] - own[:2]).prod() + (box[2:] - box[:2]).prod() - area
        fit[k] = 0.05 + area / total
    return fit


def _joined(seed: Mask, above: Mask) -> Mask:
    """Return a seed with the pixels on jumps of depth beside it."""
    import cv2

    disc = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(seed.astype(np.uint8), disc)).astype(bool) & above | seed


def _core(seed: Mask) -> Mask:
    import cv2

    inside = np.asarray(cv2.distanceTransform(seed.astype(np.uint8), cv2.DIST_L2, 3))
    return inside > max(1.5, min(_CORE * float(inside.max()), 6.0))


def _grab_cut(
    color: NDArray[np.uint8],
    box: Floats,
    seed: Mask,
    core: Mask,
    not_mine: Mask,
    known: Mask,
) -> Mask:
    import cv2

    out = np.zeros_like(seed)
    window = grown(box, 0.2, seed.shape)
    inner = np.zeros_like(seed)
    inner[grown(box, _MARGIN, seed.shape)] = True
    if seed.sum() < 20:
        return seed & inner
    near = np.asarray(cv2.dilate(seed.astype(np.uint8), np.ones((9, 9), np.uint8))).astype(bool)
    label = np.full(seed.shape, cv2.GC_BGD, np.uint8)
    label[inner] = cv2.GC_PR_BGD
    label[inner & ~known & near] = cv2.GC_PR_FGD
    label[seed & inner] = cv2.GC_PR_FGD
    label[not_mine & ~(seed & known)] = cv2.GC_BGD
    label[core & inner] = cv2.GC_FGD
    # Depth that is known and stands out nearby, but is in no part of mine: another thing's.
    crop = np.ascontiguousarray(label[window])
    image = np.ascontiguousarray(color[window][..., ::-1])
    if (crop == cv2.GC_BGD).sum() < 10 or not (crop == cv2.GC_FGD).any():
        return seed & inner
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(image, crop, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    out[window] = (crop == cv2.GC_FGD) | (crop == cv2.GC_PR_FGD)
    # Colour decides only where depth does not: at the rim and where nothing was measured.
    rim = np.asarray(cv2.erode(seed.astype(np.uint8), np.ones((7, 7), np.uint8))).astype(bool)
    return _large_parts((out | (rim & inner)) & ~(not_mine & ~seed))


def _large_parts(mask: Mask, share: float = 0.05) -> Mask:
    """Return a mask without crumbs and pinholes."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 1:
        return mask
    area = stats[:, cv2.CC_STAT_AREA].astype(float)
    area[0] = 0
    kept = area >= max(12.0, share * area.max())
    return np.isin(np.asarray(labels), np.flatnonzero(kept))
