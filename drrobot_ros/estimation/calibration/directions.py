"""What the images do not show, in words."""

import numpy as np

from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.frames import Frames
from drrobot_ros.estimation.problem import Solution

TWISTS = ("x", "y", "z", "turn about x", "turn about y", "turn about z")
# A direction of which the images know less than this share of what was known before is not seen.
SEEN = 4.0
UNSEEN = "moves next to nothing that the images show"


def unobservable_directions(
    solution: Solution, names: list[str], frames: Frames, config: CalibrationConfig
) -> tuple[str, ...]:
    """Return a sentence for every direction of the unknowns that the images hardly show.

    Unknowns are measured in what was known of them before: a direction is observable where the
    images know several times more than that.

    Args:
        solution: the last.
        names: of the joint of every velocity.
        frames: the cameras' names.
        config: what was known before.
    """
    layout = solution.layout
    if not layout.count:
        return ()
    scale, labels = np.ones(layout.count), [""] * layout.count
    for j, column in enumerate(layout.offset):
        if column >= 0:
            scale[column], labels[column] = config.offset_sigma, f"the offset of joint {names[j]!r}"
    for c, name in enumerate(frames.names):
        whose = f" of camera {name!r}" if len(frames.names) > 1 else " of the camera"
        camera = frames.cameras[c]
        sigmas = (
            camera.sigma_m or config.start_sigma_m,
            camera.sigma_rad or config.start_sigma_rad,
        )
        if layout.camera[c] >= 0:
            for k in range(6):
                column = layout.camera[c] + k
                scale[column], labels[column] = sigmas[k // 3], TWISTS[k] + whose
        if layout.lag[c] >= 0:
            scale[layout.lag[c]] = config.lag_sigma_s
            labels[layout.lag[c]] = "the lag" + whose
    known = solution.informations.sum(0) * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(known)
    out = []
    for value, vector in zip(values, vectors.T, strict=True):
        if value >= SEEN:
            continue
        order = np.argsort(-np.abs(vector))
        parts = [labels[k] for k in order if abs(vector[k]) > 0.35 * abs(vector[order[0]])][:4]
        if len(parts) == 1:
            out.append(f"{parts[0]} {UNSEEN}")
        else:
            told = ", ".join(parts[:-1]) + " and " + parts[-1]
            out.append(f"{told} together move next to nothing that the images show")
    return tuple(out)
