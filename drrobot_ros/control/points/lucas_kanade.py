"""Points followed through a video by pyramidal Lucas-Kanade, without learned weights.

Sources: Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker" (OpenCV's); Shi and
Tomasi, "Good features to track"; forward-backward check: Kalal et al., "Forward-backward error".
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.control.points.images import check_images
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.errors import InputError

Image = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class LucasKanadeConfig:
    """How points are chosen and followed."""

    points: int = setting(400, "points followed at once", minimum=4, maximum=10000)
    quality: float = setting(
        0.002, "least corner, as a share of the strongest one", minimum=1e-5, maximum=1.0
    )
    distance_px: float = setting(4.0, "between points", unit="px", minimum=1.0)
    window_px: int = setting(15, "width of the patch that is compared", unit="px", minimum=5)
    levels: int = setting(3, "pyramid levels above the image's own", minimum=0, maximum=8)
    backward_px: float = setting(
        0.5,
        "a point that does not come back this near, when followed backward, is lost",
        unit="px",
        minimum=0.01,
    )
    reseed_every: int = setting(10, "images between looking for new points; 0: never", minimum=0)

    def __post_init__(self) -> None:
        validate(self)


def track_points(
    images: Sequence[Image],
    config: LucasKanadeConfig | None = None,
    region: NDArray[np.bool_] | None = None,
    times_s: NDArray[np.float64] | None = None,
) -> TrackSet:
    """Follow points through a video.

    A lost point is NaN from then on; new points are NaN until they were found.

    Args:
        images: [H,W,3] uint8 each.
        config: settings.
        region: where in the first image points are chosen [H,W]; None: anywhere. Points found later
            may be anywhere near those that are followed.
        times_s: of the images [T], kept with the tracks.

    Raises:
        InputError: fewer than two images, images of different sizes, a region of another size, or
            nothing that could be followed.
    """
    import cv2

    config = config or LucasKanadeConfig()
    check_images(images)
    height, width = images[0].shape[:2]
    if region is not None and np.shape(region) != (height, width):
        raise InputError(f"region is {list(np.shape(region))}, the images {[height, width]}")
    grey = [cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY) for image in images]
    first = _seeds(grey[0], config.points, config, region, np.zeros((0, 2), np.float32))
    if not len(first):
        raise InputError("no corner in the first image (or its region) that could be followed")
    live = first
    columns = np.arange(len(first))
    rows: list[dict[Any, Any]] = [dict(zip(columns, live, strict=True))]
    count = len(first)
    for i in range(1, len(grey)):
        live, kept = _followed(grey[i - 1], grey[i], live, config)
        live, columns = live[kept], columns[kept]
        due = config.reseed_every and i % config.reseed_every == 0
        if due and i < len(grey) - 1:
            near = _around(live, (height, width), 4 * config.distance_px) if len(live) else region
            more = _seeds(grey[i], config.points - len(live), config, near, live)
            live = np.concatenate([live, more])
            columns = np.concatenate([columns, np.arange(count, count + len(more))])
            count += len(more)
        rows.append(dict(zip(columns, live, strict=True)))
    tracks = np.full((len(grey), count, 2), np.nan)
    for i, row in enumerate(rows):
        if not row:
            raise InputError(f"all points are lost at image {i} of {len(grey)}")
        tracks[i, list(row)] = np.stack(list(row.values())) + 0.5
    return TrackSet(tracks, (width, height), times_s)


def _followed(
    before: Any, now: Any, points: NDArray[np.float32], config: LucasKanadeConfig
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return where points went, and which came back when followed backward."""
    import cv2

    if not len(points):
        return points, np.zeros(0, bool)
    common: dict[str, Any] = {
        "winSize": (config.window_px, config.window_px),
        "maxLevel": config.levels,
        "criteria": (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 30, 0.01),
    }
    start = points[:, None]
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, now, start, start.copy(), **common)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(now, before, there, there.copy(), **common)
    there = there[:, 0]
    gap = np.linalg.norm(back[:, 0] - points, axis=1)
    inside = (there >= 0).all(1) & (there < [now.shape[1], now.shape[0]]).all(1)
    ok = (found[:, 0] > 0) & (returned[:, 0] > 0) & (gap < config.backward_px) & inside
    return np.asarray(there, np.float32), np.asarray(ok)


def _seeds(
    grey: Any,
    count: int,
    config: LucasKanadeConfig,
    region: NDArray[np.bool_] | None,
    taken: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return corners [n,2] in a region, away from points that are already followed."""
    import cv2

    if count <= 0:
        return np.zeros((0, 2), np.float32)
    allowed = np.full(grey.shape, 255, np.uint8)
    if region is not None:
        allowed[~np.asarray(region, bool)] = 0
    allowed[_around(taken, grey.shape, config.distance_px)] = 0
    found = cv2.goodFeaturesToTrack(
        grey, count, config.quality, config.distance_px, mask=allowed, blockSize=5
    )
    return np.zeros((0, 2), np.float32) if found is None else found[:, 0].astype(np.float32)


def _around(
    points: NDArray[np.float32], shape: tuple[int, ...], radius_px: float
) -> NDArray[np.bool_]:
    """Return which pixels are near any of some points."""
    import cv2

    near = np.zeros(shape[:2], np.uint8)
    for x, y in points:
        cv2.circle(near, (round(float(x)), round(float(y))), round(radius_px), 1, -1)
    return near > 0
