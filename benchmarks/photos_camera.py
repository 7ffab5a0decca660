"""The camera from photos whose joints are known: without masks, from wrong starts."""

import dataclasses
import os
import time
from collections.abc import Sequence

import numpy as np
from common import QUICK, Benchmark
from photos_data import Photos, overlap, pose_error, surface_error, wrong_start

from drrobot_ros.estimation.calibration import (
    CalibrationCamera,
    CalibrationConfig,
    CalibrationResult,
    Evidence,
    Verdict,
    calibrate,
)

STARTS = int(os.environ.get("PHOTOS_STARTS", "10"))  # wrong starts per row
ALL = list(range(10))
FITTED, HELD_OUT = [0, 2, 4, 6, 8], [1, 3, 5, 7, 9]


@dataclasses.dataclass(frozen=True)
class Run:
    """One calibration: pose found, errors against the reference (mm, deg), CPU time (s)."""

    result: CalibrationResult
    T: np.ndarray
    mm: float
    deg: float
    cpu_s: float


def config(shift_m: float, turn_deg: float, **settings) -> CalibrationConfig:
    """Return settings for the camera alone, told how far off the start may be."""
    usual = {
        "estimate_offsets": False,
        "encoder_sigma_rad": 0.0,
        "min_keyframes": 1,
        "start_sigma_m": shift_m / np.sqrt(3),
        "start_sigma_rad": np.radians(turn_deg) / np.sqrt(3),
    }
    return CalibrationConfig(**{**usual, **settings})


def find_camera(
    photos: Photos,
    which: Sequence[int],
    start: np.ndarray,
    settings: CalibrationConfig,
    *,
    depth: bool = False,
    mask: bool = False,
    evidence: Evidence | None = None,
) -> Run:
    """Calibrate the camera from some of the photos."""
    seen = [photos.observation(i, depth=depth, mask=mask) for i in which]
    started = time.process_time()
    result = calibrate(
        photos.model, photos.gaussians, seen, CalibrationCamera(start), settings, evidence=evidence
    )
    spent = time.process_time() - started
    (camera,) = result.cameras.values()
    return Run(result, camera.T, *pose_error(camera.T, photos.T), spent)


def ten_photos(bench: Benchmark, photos: Photos) -> None:
    """Add the rows of ten photos from 10 cm / 5 degrees and from 20 cm / 10 degrees."""
    for shift, turn, floor in ((0.1, 5.0, 10), (0.2, 10.0, 8)):
        count = 2 if QUICK else STARTS
        runs, shares = [], []
        for seed in range(count):
            start = wrong_start(photos.T, seed, shift, turn)
            runs.append(find_camera(photos, ALL, start, config(shift, turn)))
            shares.append(overlap(photos, runs[-1].T, ALL))
        name = f"camera, ten photos, RGB, {100 * shift:.0f} cm / {turn:.0f} deg off"
        mm, deg = [r.mm for r in runs], [r.deg for r in runs]
        judged = shift == 0.1
        bench.add(f"{name}: position", _median(mm), "mm", floor=10.0 if judged else None, each=mm)
        bench.add(f"{name}: rotation", _median(deg), "deg", floor=0.5 if judged else None, each=deg)
        bench.add(
            f"{name}: IoU",
            _median(shares),
            "",
            floor=0.925 if judged else None,
            better="higher",
            each=shares,
        )
        good = sum(m < 20 and d < 1 for m, d in zip(mm, deg, strict=True))
        bench.add(
            f"{name}: starts within 20 mm and 1 deg, of {count}",
            good,
            "",
            floor=min(floor, count),
            better="higher",
        )
        bench.add(f"{name}: CPU time", _median([r.cpu_s for r in runs]), "s")
        trusted = sum(r.result.verdict is not Verdict.FAILED for r in runs)
        good = sum(r.result.verdict is Verdict.GOOD for r in runs)
        bench.add(f"{name}: verdict not failed, of {count}", trusted, "", good=good)


def held_out(bench: Benchmark, photos: Photos) -> None:
    """Add the rows of five photos, judged on the others, and what the reference has there."""
    for which, rest, floor in ((FITTED, HELD_OUT, 0.92), (HELD_OUT, FITTED, None)):
        if QUICK and floor is None:
            continue
        found = []
        for seed in range(1 if QUICK else 4):
            start = wrong_start(photos.T, seed, 0.1, 5.0)
            found.append(find_camera(photos, which, start, config(0.1, 5.0)))
        shares = [overlap(photos, r.T, rest) for r in found]
        name = f"fit on photos {which}, IoU on the others"
        bench.add(name, _median(shares), "", floor=floor, better="higher", each=shares)
        bench.add(f"{name}: position", _median([r.mm for r in found]), "mm")
        bench.add(f"{name}: the reference's", round(overlap(photos, photos.T, rest), 4), "")


def one_photo(bench: Benchmark, photos: Photos) -> None:
    """Add the rows of single RGB photos from 3 cm / 1.5 degrees, and of exact masks."""
    which = ALL[::5] if QUICK else ALL
    for kind, mask, floor in (("RGB only", False, 15.0), ("masks given", True, None)):
        mm, deg, surface = [], [], []
        for i in which:
            for seed in range(1 if QUICK or mask else 3):
                start = wrong_start(photos.T, 10 * i + seed, 0.03, 1.5)
                # The errors of one photo's contour are of one piece: averaging needs many photos.
                settings = config(0.03, 1.5, image_weight=0.01)
                run = find_camera(photos, [i], start, settings, mask=mask)
                mm.append(run.mm)
                deg.append(run.deg)
                surface.append(surface_error(photos, run.T, i))
        name = f"camera, one photo, {kind}, 3 cm / 1.5 deg off"
        bench.add(f"{name}: position", _median(mm), "mm", floor=floor, each=mm)
        bench.add(f"{name}: rotation", _median(deg), "deg", each=deg)
        bench.add(f"{name}: robot's surface", _median(surface), "mm", each=surface)


def offsets_and_camera(bench: Benchmark, photos: Photos) -> None:
    """Add the rows of ten photos whose readings are wrong by 2 degrees in every joint.

    Nothing but the ten photos is used; what stands behind the arm is learned from them, as for the
    camera alone.
    """
    errors, mm, sigmas, verdicts = [], [], [], []
    for seed in range(1 if QUICK else 4):
        rng = np.random.default_rng(seed)
        offset = np.radians(2.0) * rng.choice([-1, 1], photos.model.nq)
        seen = [photos.observation(i, offset=offset) for i in ALL]
        start = CalibrationCamera(wrong_start(photos.T, seed, 0.03, 1.5))
        settings = config(0.03, 1.5, estimate_offsets=True, encoder_sigma_rad=0.0005)
        result = calibrate(photos.model, photos.gaussians, seen, start, settings)
        (camera,) = result.cameras.values()
        errors.append(np.degrees(np.abs(result.offsets - offset)))
        sigmas.append(np.abs(result.offsets - offset) / result.offset_std)
        verdicts.append([result.verdict.value, *result.reasons])
        mm.append(pose_error(camera.T, photos.T)[0])
    each, sigma = np.round(np.array(errors), 3), np.array(sigmas)
    name = "camera and joint offsets of 2 deg, ten photos, RGB"
    bench.add(
        f"{name}: largest error of joints 1-6",
        _median(each[:, :6].max(1)),
        "deg",
        floor=0.5,
        each=each.tolist(),
    )
    bench.add(f"{name}: median error of joints 1-6", _median(np.median(each[:, :6], 1)), "deg")
    bench.add(f"{name}: camera", _median(mm), "mm", floor=12.0, each=mm)
    bench.add(
        f"{name}: offsets within 2 of their standard deviations",
        float((sigma < 2).mean()),
        "of 1",
        better="higher",
        within_1=float((sigma < 1).mean()),
        largest=float(sigma.max()),
        verdicts=verdicts,
    )


def _median(values) -> float:
    return round(float(np.median(values)), 4)
