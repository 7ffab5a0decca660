"""The ten real photos under other lights, cameras and mistakes: ``make bench NAME=photos_changes``.

What does not change where the arm is should not change the result; what is wrong should be refused,
or at least doubted. Starts are 10 cm and 5 degrees off, nothing else is given but readings.
"""

import dataclasses
import os
import sys
import time

import numpy as np
import photos_changes_data as to
from common import QUICK, Benchmark
from photos_camera import config
from photos_data import SPLATS, Photos, load_photos, pose_error, wrong_start

from drrobot_ros.errors import DrRobotError
from drrobot_ros.estimation.calibration import CalibrationCamera, calibrate

ALL = list(range(10))
#: What must not matter: the camera is to be found as without.
HARMLESS: dict[str, to.Change] = {
    "as they are": lambda case, rng: None,
    "gamma 0.5": to.gamma(0.5),
    "gamma 2": to.gamma(2.0),
    "twice as bright": to.gain(2.0),
    "a quarter as bright": to.gain(0.25),
    "exposure 0.6 to 1.6, each otherwise": to.exposures(0.6, 1.6),
    "red 1.4, blue 0.7": to.white_balance(1.4, 0.7),
    "white balance 15 %, each otherwise": to.white_balances(0.15),
    "no colours": to.each(to.grey),
    "a shadow elsewhere in each": to.each(to.shade),
    "a passer-by elsewhere in each": to.each(to.passer_by),
    "jpeg, quality 15": to.jpeg(15),
    "noise of 15 grey values": to.noise(15.0),
    "motion blur of 15 px": to.blur(15),
    "640x360": to.resize(640, 360),
    "320x180": to.resize(320, 180),
    "1920x1080": to.resize(1920, 1080),
    "cropped to 900x640": to.crop(200, 40, 900, 640),
    "upside down": to.roll(2),
    "upright": to.roll(1),
    "a lens with distortion": to.distort(-0.25, 0.08, 0.001, -0.0005, 0.0),
    "one image without the arm": to.without_robot(1),
    "two images with each other's readings": to.swapped,
}
#: What cannot be found rightly: to be refused or doubted.
WRONG: dict[str, to.Change] = {
    "no image shows the arm": to.without_robot(10),
    "readings 4 deg wrong, each otherwise": to.noisy_readings(4.0),
    "readings of the next image": to.shifted_rows,
    "order of joints reversed": to.part_of_readings,
    "the arm never moves": to.still_arm,
    "readings in degrees": to.in_degrees,
    "images mirrored": to.mirrored,
    "focal length 20 % too long": to.another_lens(1.2),
    "intrinsics of 640x360": to.another_size,
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One calibration: its words, and how far off it is if there is a result (mm, degrees)."""

    verdict: str
    words: str
    mm: float
    deg: float
    cpu_s: float

    @property
    def right(self) -> bool:
        """Whether it is as near to the reference as that can tell."""
        return self.mm < 20 and self.deg < 1


def outcome(photos: Photos, change: to.Change, which: list[int], seed: int = 0) -> Outcome:
    """Return what becomes of a calibration with a change."""
    case = to.case_of(photos, which)
    change(case, np.random.default_rng(seed))
    started = time.process_time()
    try:
        result = calibrate(
            photos.model,
            photos.gaussians,
            case.observations(),
            CalibrationCamera(wrong_start(case.T, seed, 0.1, 5.0)),
            config(0.1, 5.0),
        )
    except DrRobotError as error:
        return Outcome("refused", str(error), np.nan, np.nan, time.process_time() - started)
    (camera,) = result.cameras.values()
    mm, deg = pose_error(camera.T, case.T)
    agreement = float(np.median([k.agreement for k in result.keyframes]))
    words = "; ".join([f"agreement {agreement:.3f}", *result.reasons])
    return Outcome(result.verdict.value, words, mm, deg, time.process_time() - started)


def main() -> int:
    """Run the cases whose names contain a word of PHOTOS_CHANGES (all by default)."""
    photos = load_photos()
    if photos is None:
        print("no photos or no xArm7: set DRROBOT_PHOTOS and DRROBOT_MENAGERIE")
        return 0
    words = [w for w in os.environ.get("PHOTOS_CHANGES", "").split(",") if w]
    bench = Benchmark("photos_changes", splats=SPLATS, start="10 cm, 5 degrees")
    harmless, wrong = [], []
    for kind, cases, kept in (("harmless", HARMLESS, harmless), ("wrong", WRONG, wrong)):
        for name in list(cases)[:: 8 if QUICK else 1]:
            if words and not any(w in f"{kind}: {name}" for w in words):
                continue
            found = outcome(photos, cases[name], ALL)
            kept.append(found)
            bench.add(
                f"{kind}: {name}",
                None if np.isnan(found.mm) else round(found.mm, 2),
                "mm",
                deg=round(found.deg, 3),
                verdict=found.verdict,
                words=found.words,
                cpu_s=round(found.cpu_s, 1),
            )
            print(f"    {found.deg:.2f} deg, {found.verdict}: {found.words[:180]}", flush=True)
    runs = [*harmless, *wrong]
    bench.add(
        f"harmless changes found within 20 mm and 1 deg, of {len(harmless)}",
        sum(f.right for f in harmless),
        "",
        better="higher",
        believed=sum(f.right and f.verdict == "good" for f in harmless),
    )
    bench.add(
        f"wrong by more than 30 mm and called good, of {len(runs)}",
        sum(f.verdict == "good" and f.mm > 30 for f in runs),
        "",
        floor=0,
    )
    return bench.finish(keep_others=bool(words))


if __name__ == "__main__":
    sys.exit(main())
