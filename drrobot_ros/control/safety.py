"""The gate between what was planned and what an arm is told: every motion passes, or is refused."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from drrobot_ros.control.collisions import CollisionChecker, Nearness
from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.control.trajectory import Matrix, Trajectory, Vector
from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel

_ROUNDING = 1.01  # what interpolating between samples may add
_START = 0.02  # how far from where the arm is a motion may start, rad or m


class UnsafeMotionError(InputError):
    """A motion that must not be run.

    Attributes:
        kind: position, velocity, acceleration, jerk, start, corridor, workspace or collision.
        time_s: of the offending moment, from the motion's start.
        sample: the motion's sample at or before it.
    """

    def __init__(self, kind: str, time_s: float, sample: int, reason: str) -> None:
        super().__init__(f"{kind}: {reason} (sample {sample}, {time_s:.3f} s)")
        self.kind, self.time_s, self.sample = kind, time_s, sample


@dataclasses.dataclass(frozen=True)
class SafetyReport:
    """How near to its limits an accepted motion comes.

    Attributes:
        nearest: the closest that links come to each other or to an obstacle.
        velocity: largest share of a velocity limit.
        acceleration: largest share of an acceleration limit.
        jerk: largest share of a jerk limit.
        checks: configurations whose distances were measured.
    """

    nearest: Nearness
    velocity: float
    acceleration: float
    jerk: float
    checks: int


class SafetyGate:
    """Checks whole motions before the first sample is sent.

    Args:
        model: the robot.
        config: limits beyond the robot's own.
        obstacles: what stands around it.
        allowed_pairs: names of links that may touch each other.
    """

    def __init__(
        self,
        model: RobotModel,
        config: SafetyConfig | None = None,
        obstacles: Sequence[Obstacle] = (),
        allowed_pairs: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.config = config or SafetyConfig()
        self.limits = MotionLimits.of(model, self.config)
        margin = self.config.collision_margin_m
        self.checker = CollisionChecker(model, obstacles, allowed_pairs, margin)

    def check(self, motion: Trajectory, q_now: Vector | None = None) -> SafetyReport:
        """Return how near to its limits a motion comes.

        Between samples the motion is followed as controllers interpolate it; distances are measured
        so densely that no link can get nearer than half the margin in between (conservative
        advancement, Mirtich 1996).

        Args:
            motion: all of it, from where the arm is to rest.
            q_now: where the arm is [nq]; None: where the motion starts.

        Raises:
            UnsafeMotionError: it breaks a limit, or touches something; with the offending moment.
            InputError: it is of another robot.
        """
        n = len(self.limits.joint_names)
        if motion.q.shape[1] != n:
            raise InputError(f"the motion has {motion.q.shape[1]} joints, the robot {n}")
        if q_now is not None:
            self._start(motion, np.asarray(q_now, np.float64))
        fine = _between(motion.times_s, 4)
        q, v, a = motion.sample(fine)
        self._position(motion, fine, q)
        rates = [
            self._rate(motion, "velocity", fine, v, self.limits.velocity),
            self._rate(motion, "acceleration", fine, a, self.limits.acceleration),
        ]
        step = np.diff(motion.times_s)[:, None]
        # At the samples: a jump of acceleration within one shows in the difference of its ends.
        jerk = np.diff(motion.a, axis=0) / step if len(step) else np.zeros((1, n))
        rates.append(self._rate(motion, "jerk", motion.times_s, jerk, self.limits.jerk))
        if np.abs(motion.v[-1]).max() > 1e-3:
            raise self._unsafe(motion, "velocity", motion.duration_s, "the motion ends moving")
        self._corridor(motion, fine, q)
        nearest, checks = self._distances(motion, fine, q)
        return SafetyReport(nearest, rates[0], rates[1], rates[2], checks)

    def _unsafe(self, motion: Trajectory, kind: str, time_s: float, reason: str):
        sample = int(np.searchsorted(motion.times_s, time_s + 1e-9, side="right")) - 1
        return UnsafeMotionError(kind, float(time_s), max(sample, 0), reason)

    def _start(self, motion: Trajectory, q_now: Vector) -> None:
        gap = np.abs(motion.q[0] - q_now)
        k = int(gap.argmax())
        if not gap[k] <= _START:
            raise self._unsafe(
                motion,
                "start",
                0.0,
                f"joint {self.limits.joint_names[k]!r} is at {q_now[k]:.4f}, the motion starts "
                f"at {motion.q[0, k]:.4f}",
            )

    def _position(self, motion: Trajectory, times: Vector, q: Matrix) -> None:
        limits = self.limits
        over = np.maximum(q - limits.upper, limits.lower - q)
        row, k = np.unravel_index(int(over.argmax()), over.shape)
        if over[row, k] > 1e-6:
            raise self._unsafe(
                motion,
                "position",
                times[row],
                f"joint {limits.joint_names[k]!r} at {q[row, k]:.4f}; valid: "
                f"{limits.lower[k]:.4f} to {limits.upper[k]:.4f}",
            )

    def _rate(
        self, motion: Trajectory, kind: str, times: Vector, values: Matrix, limit: Vector
    ) -> float:
        share = np.abs(values) / limit
        row, k = np.unravel_index(int(share.argmax()), share.shape)
        if share[row, k] > _ROUNDING:
            raise self._unsafe(
                motion,
                kind,
                times[row],
                f"joint {self.limits.joint_names[k]!r} at {values[row, k]:.3f}; "
                f"at most {limit[k]:.3f}",
            )
        return float(share[row, k])

    def _corridor(self, motion: Trajectory, times: Vector, q: Matrix) -> None:
        if self.config.corridor == 0:
            return
        line = q[-1] - q[0]
        along = np.clip((q - q[0]) @ line / max(float(line @ line), 1e-12), 0, 1)
        off = np.abs(q - q[0] - along[:, None] * line)
        row, k = np.unravel_index(int(off.argmax()), off.shape)
        if off[row, k] > self.config.corridor:
            raise self._unsafe(
                motion,
                "corridor",
                times[row],
                f"joint {self.limits.joint_names[k]!r} is {off[row, k]:.3f} from the straight "
                f"line; at most {self.config.corridor:.3f}",
            )

    def _distances(self, motion: Trajectory, times: Vector, q: Matrix) -> tuple[Nearness, int]:
        margin, reach = self.config.collision_margin_m, self.checker.reach_m
        sweep = np.abs(np.diff(q, axis=0)) @ reach
        # So finely that a step never sweeps more than half the margin.
        pieces = np.ceil(sweep / (0.45 * margin)).astype(int).clip(1)
        if len(pieces):
            times = np.append(np.repeat(times[:-1], pieces), times[-1])
            inner = np.concatenate([np.arange(n) / n for n in pieces])
            width = np.repeat(np.diff(_ends(times, pieces)), pieces)
            times[:-1] += inner * width
            q = motion.sample(times)[0]
        swept = np.append(0.0, np.cumsum(np.abs(np.diff(q, axis=0)) @ reach))
        worst, k, checks = Nearness(np.inf), 0, 0
        while k < len(q):
            now = self.checker.nearest(q[k])
            checks += 1
            if now.spare_m < worst.spare_m:
                worst = now
            if now.spare_m < 0:
                reason = f"{now}; at least {now.needed_m * 1e3:.0f} mm"
                raise self._unsafe(motion, "collision", times[k], reason)
            self._workspace(motion, times[k], q[k])
            far = int(np.searchsorted(swept, swept[k] + now.spare_m + margin / 2, "right")) - 1
            k = len(q) if k == len(q) - 1 else min(max(far, k + 1), len(q) - 1)
        return worst, checks

    def _workspace(self, motion: Trajectory, time_s: float, q: Vector) -> None:
        if not self.config.workspace:
            return
        low, high = self.checker.box(q)
        box = np.asarray(self.config.workspace)
        out = np.maximum(box[:3] - low, high - box[3:])
        k = int(out.argmax())
        if out[k] > 0:
            raise self._unsafe(
                motion,
                "workspace",
                time_s,
                f"the arm leaves the box by {out[k] * 1e3:.0f} mm along {'xyz'[k]}",
            )


def _between(times: Vector, pieces: int) -> Vector:
    """Return the times with each interval cut into pieces."""
    if len(times) == 1:
        return times
    inner = np.arange(pieces) / pieces
    fine = times[:-1, None] + inner * np.diff(times)[:, None]
    return np.append(fine.ravel(), times[-1])


def _ends(times: Vector, pieces: np.ndarray) -> Vector:
    """Return the interval ends of times whose intervals were repeated `pieces` times."""
    return np.append(times[np.append(0, np.cumsum(pieces)[:-1])], times[-1])
