"""Pictures of a plan: where it starts, what was wanted, what was found, how the cost fell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.goals import PictureGoal, TracksGoal, VideoGoal
from drrobot_ros.rendering.overlay import overlay_image

Image = NDArray[np.uint8]

_TRACK_COLOR, _POINT_COLOR = (20, 110, 230), (240, 90, 20)


def picture_of(planner: Any, request: Any, q: NDArray[np.float64], view: int = 0) -> Image:
    """Return the robot as a viewpoint of the request would see it [H,W,3]."""
    rgb, _ = _rendered(planner, request, q, view)
    return rgb


def plan_pictures(
    planner: Any,
    request: Any,
    start: NDArray[np.float64],
    q: NDArray[np.float64],
    curve: Sequence[tuple[int, float]],
    details: Any,
) -> dict[str, Image]:
    """Return the pictures of a plan by name, as far as the request has viewpoints."""
    pictures = {"losses": curve_picture(curve)} if len(curve) > 1 else {}
    if not request.views:
        return pictures
    goal = next((g for g in request.goals if hasattr(g, "view")), None)
    view = 0 if goal is None else goal.view
    pictures["start"] = picture_of(planner, request, start, view)
    pictures["result"], alpha = _rendered(planner, request, q[-1], view)
    if isinstance(goal, PictureGoal):
        wanted = goal.rgb
        if wanted is None:
            assert goal.mask is not None
            wanted = np.repeat((255 * np.asarray(goal.mask, float))[..., None], 3, 2)
        pictures["goal"] = np.asarray(wanted, np.uint8)
        pictures["overlay"] = overlay_image(pictures["goal"], pictures["result"] / 255, alpha)
    elif isinstance(goal, TracksGoal):
        pictures["goal"] = tracks_picture(pictures["start"], goal.tracks.tracks)
        own, _, _ = (
            details.points.project(planner.model, q, request.views[view])
            if details
            else (
                None,
                None,
                None,
            )
        )
        over = tracks_picture(pictures["result"], goal.tracks.tracks)
        if own is not None:
            few = own[:, :: max(1, own.shape[1] // 60)]
            over = tracks_picture(over, few, _POINT_COLOR)
        pictures["overlay"] = over
    elif isinstance(goal, VideoGoal):
        pictures["goal"] = np.asarray(goal.images[-1])
        if details is not None:
            # As the camera that was found sees it: the one given was only rough.
            seen = details.overlay
            pictures["overlay"] = seen if seen is not None else pictures["result"]
    else:
        white = (255 * np.ones_like(pictures["start"])).astype(np.uint8)
        faint = (0.35 * pictures["start"] + 0.65 * white).astype(np.uint8)
        pictures["overlay"] = overlay_image(faint, pictures["result"] / 255, alpha, 0.9)
    return pictures


def tracks_picture(
    image: Image, tracks: NDArray[np.float64], color: tuple[int, int, int] = _TRACK_COLOR
) -> Image:
    """Return an image [H,W,3] with tracks [T,P,2] drawn as lines that end in a dot."""
    import cv2

    drawn = np.ascontiguousarray(image).copy()
    for k in range(tracks.shape[1]):
        line = tracks[np.isfinite(tracks[:, k]).all(-1), k]
        if not len(line):
            continue
        path = np.round(16 * (np.clip(line, -1e4, 1e4) - 0.5)).astype(np.int32)
        cv2.polylines(drawn, [path[:, None]], False, color, 1, cv2.LINE_AA, 4)
        cv2.circle(drawn, (int(path[-1, 0]), int(path[-1, 1])), 24, color, -1, cv2.LINE_AA, 4)
    return drawn


def curve_picture(curve: Sequence[tuple[int, float]], size: tuple[int, int] = (360, 240)) -> Image:
    """Return a picture [H,W,3] of a cost over its steps."""
    import cv2

    width, height = size
    image = np.full((height, width, 3), 255, np.uint8)
    points = np.array([p for p in curve if np.isfinite(p[1])], np.float64)
    left, right, top, bottom = 70, width - 12, 14, height - 28
    cv2.rectangle(image, (left, top), (right, bottom), (150, 150, 150), 1)
    grey, font = (60, 60, 60), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, "step", (right - 30, height - 8), font, 0.4, grey, 1, cv2.LINE_AA)
    if len(points) < 2:
        return image
    low, high = points[:, 1].min(), points[:, 1].max()
    span = np.array([max(np.ptp(points[:, 0]), 1e-9), max(high - low, 1e-12)])
    at = (points - [points[0, 0], low]) / span
    x, y = left + at[:, 0] * (right - left), bottom - at[:, 1] * (bottom - top)
    # The best so far stays what it is until the next step that lowers it.
    stairs = np.stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]], 1).round().astype(np.int32)
    cv2.polylines(image, [stairs[:, None]], False, _POINT_COLOR, 2, cv2.LINE_AA)
    for value, row in ((high, top + 8), (low, bottom)):
        cv2.putText(image, f"{value:.3g}", (6, row), font, 0.4, grey, 1, cv2.LINE_AA)
    for value, column in ((points[0, 0], left), (points[-1, 0], right - 60)):
        cv2.putText(image, f"{value:.0f}", (int(column), height - 8), font, 0.4, grey, 1)
    return image


def _rendered(
    planner: Any, request: Any, q: NDArray[np.float64], view: int
) -> tuple[Image, NDArray[np.float32]]:
    with torch.no_grad():
        at = Candidate(
            planner.model,
            planner.gaussians,
            torch.from_numpy(np.asarray(q, np.float64))[None],
            tuple(request.views),
        ).render(0, view)
    rgb = (255 * at.rgb.clamp(0, 1) + 0.5).numpy().astype(np.uint8)
    return rgb, at.alpha.numpy()
