"""Verdicts: GOOD on what is right, and never on what is wrong; sigmas that hold without masks too.

Images of 640x480 compared at 320 px, with masks or without. Wrong are: a guess of the camera 60 cm
and 40 degrees off, another robot's model, readings 2 degrees off in every image otherwise, those of
the next image, too few keyframes, an arm that never moves, degrees.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import calibration as sim
import numpy as np
from common import ROOT, Benchmark

from drrobot_ros.errors import DrRobotError
from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.calibration import CalibrationCamera, calibrate
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

VIEWS = (0, 3)
WIDTH = 320
OTHER = Path("ufactory_xarm7") / "xarm7_nohand.xml"


@dataclasses.dataclass
class Input:
    """What a calibration is given, to be made wrong."""

    model: RobotModel
    splats: GaussianRobot
    images: list[Observation]
    start: np.ndarray
    seed: int
    T: np.ndarray

    def read(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Change the readings [m,nq]."""
        q = change(np.array([o.joint_positions for o in self.images]))
        self.images = [
            dataclasses.replace(o, joint_positions=x) for o, x in zip(self.images, q, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A verdict or "refused", its reasons, errors (mm, degrees), and errors over their sigma."""

    verdict: str
    reasons: str
    mm: float = np.nan
    deg: float = np.nan
    sigmas: tuple[float, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether the pose is wrong by more than anyone would accept."""
        return self.mm > 30 or self.deg > 2


def right(_: Input) -> None:
    """Leave everything right."""


def guess(given: Input) -> None:
    """Start 60 cm and 40 degrees off, but say 10 cm and 6 degrees."""
    given.start = sim.off(given.T, given.seed, 0.6, 40.0)


def another_robot(given: Input) -> None:
    """Take the model of another arm with seven joints."""
    given.model = RobotModel.load(ROOT.parent / "shared" / "data" / "menagerie" / OTHER)
    given.splats = GaussianRobot.from_model(given.model, count=sim.SPLATS, seed=0)
    model = given.model
    given.read(lambda q: np.clip(q[:, : model.nq], model.lower, model.upper))


def wrong_readings(given: Input) -> None:
    """Turn every joint by 2 degrees to either side, in every image otherwise."""
    rng = np.random.default_rng(given.seed)

    def change(q: np.ndarray) -> np.ndarray:
        out = q.copy()
        out[:, :7] += np.radians(2.0) * rng.choice([-1, 1], (len(q), 7))
        return out

    given.read(change)


def next_readings(given: Input) -> None:
    """Take the readings of the next image."""
    given.read(lambda q: np.roll(q, -1, axis=0))


def three(given: Input) -> None:
    """Keep three images."""
    given.images = given.images[:3]


def still(given: Input) -> None:
    """Show one pose only."""
    given.images = [given.images[0]] * len(given.images)


def degrees(given: Input) -> None:
    """Read degrees."""
    given.read(np.degrees)


WRONG = (guess, another_robot, wrong_readings, next_readings, three, still, degrees)


def outcome(given: Input, offsets: bool, true: np.ndarray) -> Outcome:
    """Return what becomes of a calibration.

    Args:
        given: its input.
        offsets: whether offsets are sought, of all joints but the first.
        true: offset of every joint [nv].
    """
    names = given.model.joint_names[1:7]
    try:
        found = calibrate(
            given.model,
            given.splats,
            given.images,
            CalibrationCamera(given.start),
            sim.config(WIDTH, estimate_offsets=offsets),
            joints=names if offsets else None,
        )
    except DrRobotError as error:
        return Outcome("refused", str(error))
    camera = found.cameras["camera"]
    error = sim.twist(camera.T, given.T)
    sigmas = error / np.sqrt(np.diag(camera.covariance))
    if offsets and given.model.nv == len(true):
        sigmas = np.concatenate(
            [sigmas, ((found.offsets - true) / np.maximum(found.offset_std, 1e-9))[1:7]]
        )
    mm, deg = sim.size(error)
    reasons = "; ".join(found.reasons)
    return Outcome(found.verdict.value, reasons, mm, deg, tuple(np.abs(sigmas)))


def cases(bench: Benchmark, model: RobotModel, splats: GaussianRobot, count: int) -> None:
    """Add the rows: how often which verdict."""
    seen = {}
    for k in VIEWS[:count]:
        data, T = sim.keyframes(model, k), sim.eye(k)
        # The first joint's offset is not told from the camera's turn: it is read rightly.
        first = np.eye(len(data.offsets))[0] * data.offsets[0]
        images = [
            dataclasses.replace(o, joint_positions=o.joint_positions + first)
            for o in sim.pictures(model, data, sim.CAMERA, [T], k)
        ]
        seen[k] = images, data.offsets - first, T
    believed, runs = [], 0
    for change in (right, *WRONG):
        for masks in (True, False):
            found = []
            for k, (images, offsets, T) in seen.items():
                for sought in (False, True):
                    given = Input(model, splats, list(images), sim.off(T, k), k, T)
                    if not masks:
                        given.images = [dataclasses.replace(o, mask=None) for o in images]
                    if not sought:
                        given.read(lambda q, offsets=offsets: q + np.asarray(offsets)[: q.shape[1]])
                    change(given)
                    found.append(outcome(given, sought, offsets))
                    print("   ", change.__name__, k, masks, sought, found[-1], flush=True)
            _add(bench, change, masks, found)
            if change is not right:
                runs += len(found)
                believed += [f for f in found if f.verdict == "good" and f.wrong]
    bench.add(f"wrong and called good, of {runs}", len(believed), "", floor=0)


def _add(bench: Benchmark, change: Callable, masks: bool, found: list[Outcome]) -> None:
    name = f"verdict: {change.__name__.replace('_', ' ')}, {'masks' if masks else 'no masks'}"
    counts = {
        v: sum(f.verdict == v for f in found) for v in ("good", "doubtful", "failed", "refused")
    }
    each = [[f.verdict, f.reasons, round(f.mm, 1), round(f.deg, 2)] for f in found]
    is_right = change is right
    value = counts["good"]
    bench.add(
        f"{name}: good of {len(found)}",
        value,
        "",
        better="higher" if is_right else "lower",
        **counts,
        each=each,
    )
    if is_right:
        inside = np.concatenate([f.sigmas for f in found])
        bench.add(
            f"{name}: errors within 1 sigma",
            round(float((inside < 1).mean()), 3),
            "of 1",
            better="higher",
            within_2_sigma=round(float((inside < 2).mean()), 3),
        )
