"""Does the tracker know on real photos whether it is right? False accepts and false rejects.

Each of the ten photos is looked at three times in a row by a tracker that knows the camera: with
the encoders as a prior, which keeps it right, and without them from starts 25 and 45 degrees off in
every joint, most of which it cannot get right. What it says of itself is compared with the
encoders.
"""

import dataclasses

import numpy as np
from common import Benchmark
from photos_data import Photos, load_photos

from drrobot_ros.estimation import Tracker, TrackerConfig, TrackingState

WRONG_DEG = 5.0
LOOKS = 3
ALONE = TrackerConfig(budget_ms=0.0, recovery="off")
HELD = dataclasses.replace(ALONE, encoder_sigma_rad=0.02)
STARTS_DEG = (25.0, 45.0)


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer: whether it was wrong, whether it was believed, and why not."""

    wrong: bool
    believed: bool
    vague: bool
    agreement: float


def answer(photos: Photos, i: int, depth: bool, off_deg: float) -> Answer:
    """Return what the tracker says of a photo; 0 degrees off: with encoders."""
    rng = np.random.default_rng(i)
    off = np.radians(off_deg) * rng.choice([-1.0, 1.0], photos.model.nq)
    tracker = Tracker(photos.model, photos.gaussians, ALONE if off_deg else HELD)
    tracker.reset(np.clip(photos.q[i] + off, photos.model.lower, photos.model.upper), photos.T)
    seen = photos.observation(i, depth=depth)
    if off_deg:
        seen = dataclasses.replace(seen, joint_positions=None)
    for k in range(LOOKS):
        estimate = tracker.update(dataclasses.replace(seen, stamp_s=k / 10))
    error = np.degrees(np.abs(estimate.q - photos.q[i])[:6].max())
    vague = np.degrees(estimate.q_std[:6].max()) > WRONG_DEG
    believed = estimate.state is TrackingState.TRACKING
    return Answer(bool(error > WRONG_DEG), believed, bool(vague), estimate.agreement)


def add_gate(bench: Benchmark, count: int = 10) -> None:
    """Rows of the photos, with and without depth; none where they are not at hand."""
    photos = load_photos()
    if photos is None:
        print("gate on photos: left out, no photos; set DRROBOT_PHOTOS")
        return
    for depth in (True, False):
        found = [answer(photos, i, depth, off) for i in range(count) for off in (0.0, *STARTS_DEG)]
        right = [a for a in found if not a.wrong]
        wrong = [a for a in found if a.wrong]
        label = "depth" if depth else "colours only"
        bench.add(
            f"gate on photos, {label}: right and doubted",
            round(1.0 - float(np.mean([a.believed for a in right])), 3),
            "of 1",
            answers=len(right),
            agreement_median=round(float(np.median([a.agreement for a in right])), 3),
        )
        bench.add(
            f"gate on photos, {label}: wrong and believed",
            round(float(np.mean([a.believed and not a.vague for a in wrong])), 3),
            "of 1",
            answers=len(wrong),
        )
