"""Closing the loop by sight: an arm brought to joint positions as a camera sees them.

The encoders of the arm are off by a constant, or slowly changing, error. What is seen and what the
encoders say at the same moment tells it, joint by joint (a Kalman filter with one state each); the
arm is told to go where it is wanted plus that error, by jerk-limited motions that branch off one
another (Ruckig), each of which passes the safety gate. Where the goal is a picture, the last bit is
read from the difference of that picture and the camera's (`picture_difference`): an estimator's own
error is not in it.
"""

import dataclasses
import enum

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.safety import UnsafeMotionError
from drrobot_ros.control.trajectory import Trajectory, Vector
from drrobot_ros.errors import InputError


@dataclasses.dataclass(frozen=True)
class ServoConfig:
    """How an arm is brought to where the camera is to see it."""

    tolerance: float = setting(
        0.005, "reached when every joint is seen this near", unit="rad or m", minimum=1e-4
    )
    settle_frames: int = setting(
        5, "seen in so many images in a row, the arm at rest", minimum=1, maximum=1000
    )
    deadband: float = setting(
        0.002, "smaller corrections are not worth a motion", unit="rad or m", minimum=0.0
    )
    period_s: float = setting(
        0.1, "least time between two corrections", unit="s", minimum=0.01, maximum=10.0
    )
    stale_s: float = setting(
        0.5, "the arm is stopped when it was not seen for so long", unit="s", minimum=0.02
    )
    seen_sigma: float = setting(
        0.004, "error of one image's estimate", unit="rad or m", minimum=1e-5
    )
    timing_s: float = setting(
        0.02, "how well stamps of images and encoders agree", unit="s", minimum=0.0, maximum=1.0
    )
    offset_sigma: float = setting(
        0.15, "how wrong encoders are believed to be", unit="rad or m", minimum=1e-4
    )
    offset_drift: float = setting(
        0.002, "how much that changes in a second", unit="rad or m", minimum=0.0
    )
    pose_drift: float = setting(
        0.05,
        "how much an image's own error changes as the arm turns by 1 rad: what was seen elsewhere "
        "counts less",
        minimum=0.0,
        maximum=10.0,
    )
    max_offset: float = setting(
        0.35, "a larger error of an encoder is not believed", unit="rad or m", minimum=1e-3
    )
    match_from: float = setting(
        0.05,
        "pictures are compared as soon as the arm rests and every joint is seen this near",
        unit="rad or m",
        minimum=1e-3,
    )
    first_frames: int = setting(
        3, "images that are looked at before the arm moves", minimum=1, maximum=1000
    )

    def __post_init__(self) -> None:
        validate(self)


_SURPRISED = 4.0  # standard deviations
_DOUBT = 3.0  # a comparison of pictures is doubted by so many of its standard deviations
_APART = 0.1  # of what is between two pictures is the error of their comparison
_COMPARISONS = 3  # are made at least
_WALK = 0.5  # rad: by so much the view has to change for the error to be another


class OffsetObserver:
    """Encoder minus true position of every joint, from what is seen.

    Args:
        n: joints.
        config: settings.

    Attributes:
        offsets: [n].
        sigma: standard deviations [n].
        frames: images that told something.
    """

    def __init__(self, n: int, config: ServoConfig) -> None:
        self._config = config
        self.offsets = np.zeros(n)
        self.sigma = np.full(n, config.offset_sigma)
        self.frames = 0
        self._stamp_s: float | None = None
        self._encoders: Vector | None = None

    def see(
        self, stamp_s: float, seen: Vector, sigma: Vector, encoders: Vector, velocity: Vector
    ) -> None:
        """Take what an image and the encoders say of one moment.

        Args:
            stamp_s: of the image.
            seen: positions by the image [n].
            sigma: their standard deviations [n], NaN where the image says nothing.
            encoders: positions by the encoders at that moment [n], NaN where not known.
            velocity: about how fast the joints move [n].
        """
        config = self._config
        passed = 0.0 if self._stamp_s is None else max(stamp_s - self._stamp_s, 0.0)
        self._stamp_s = stamp_s
        variance = self.sigma**2 + config.offset_drift**2 * passed
        # What a tracker gets wrong depends on the view of the arm: a walk, step by step.
        turned = 0.0
        if self._encoders is not None:
            turned = float(np.nan_to_num(np.abs(encoders - self._encoders)).max())
        self._encoders = np.array(encoders)
        variance = variance + config.pose_drift**2 * _WALK * turned
        noise = np.maximum(sigma, config.seen_sigma) ** 2 + (config.timing_s * velocity) ** 2
        difference = encoders - seen
        known = np.isfinite(difference) & np.isfinite(noise)
        surprise = np.where(known, (difference - self.offsets) ** 2, 0.0)
        # Somebody turned an encoder, or what was believed was wrong: learn anew, and quickly.
        surprised = surprise > _SURPRISED**2 * (variance + np.where(known, noise, 1.0))
        variance = variance + np.where(surprised, 0.1 * surprise, 0.0)
        gain = np.where(known, variance / (variance + np.where(known, noise, 1.0)), 0.0)
        self.offsets = self.offsets + gain * np.where(known, difference - self.offsets, 0.0)
        self.sigma = np.sqrt((1 - gain) * variance)
        self.frames += bool(known.any())


class ServoState(enum.Enum):
    """What a servo is doing."""

    LOOKING = "looking"
    MOVING = "moving"
    REACHED = "reached"
    UNSAFE = "unsafe"
    BLIND = "blind"
    IMPLAUSIBLE = "implausible"


class VisualServo:
    """Brings an arm to positions as seen; used from one thread, without a clock of its own.

    Args:
        motion: what the arm is told; the caller has it take over what `step` returns.
        goal: positions wanted [nq], true ones.
        config: settings.
        begin_s: now.
        matched: the caller compares the camera's pictures with the goal's when `wants_match`.

    Attributes:
        observer: of the encoders' errors.
        error: goal minus where the arm is by all images so far [nq].
        state: what it is doing.
        reason: for people, where the state wants one.
        corrections: motions sent.

    Raises:
        InputError: the goal is of wrong size, not finite or out of range.
    """

    def __init__(
        self,
        motion: CommandedMotion,
        goal: Vector,
        config: ServoConfig,
        begin_s: float,
        matched: bool = False,
    ) -> None:
        motion.limits.check_position(goal, "goal")
        self._motion, self.goal, self._config = motion, np.asarray(goal, np.float64), config
        self.observer = OffsetObserver(len(self.goal), config)
        self.error = np.full(len(self.goal), np.nan)
        self.state, self.reason = ServoState.LOOKING, ""
        self.corrections = 0
        self._seen_s, self._sent_s = begin_s, -np.inf
        self._aim: Vector | None = None
        self._near = 0
        self._halting = False
        self._matches = matched
        #: What is to be commanded by estimates alone, and how sure that is: [nq] each.
        self._before_match: tuple[Vector, Vector] | None = None
        self._sigma = np.full(len(self.goal), config.offset_sigma)
        #: Of comparisons: how many, their weights, and where each has the goal, so weighted [nq].
        self._compared = 0
        self._pull, self._pulled = np.zeros(len(self.goal)), np.zeros(len(self.goal))

    @property
    def wants_match(self) -> bool:
        """Whether a comparison of the camera's picture with the goal's is wanted now."""
        return self._before_match is not None and not self.ended

    @property
    def residual(self) -> float:
        """How far the joint that is farthest off was from its goal, as last seen."""
        known = np.abs(self.error[np.isfinite(self.error)])
        return float(known.max()) if len(known) else float("nan")

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do but to stop the arm where it moves."""
        return self.state not in (ServoState.LOOKING, ServoState.MOVING)

    def see(
        self,
        stamp_s: float,
        seen: Vector,
        sigma: Vector,
        encoders: Vector,
        observed: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take a believed estimate.

        Args:
            stamp_s: of the image, on the servo's clock.
            seen: [nq].
            sigma: [nq], NaN where the image says nothing.
            encoders: [nq] at the stamp, NaN where not known.
            observed: which joints have to be near [nq]; None: all.
        """
        if self.ended or not np.isfinite(seen).all():
            return
        self._seen_s = max(self._seen_s, stamp_s)
        if self._before_match is not None:
            return  # what is compared is surer
        _, velocity, _ = self._motion.at(stamp_s)
        self.observer.see(stamp_s, seen, sigma, encoders, velocity)
        # By all images so far: what one of them says of a small far joint is noise.
        now = encoders - self.observer.offsets
        self.error = self.goal - np.where(np.isfinite(now), now, seen)
        if observed is not None:
            self.error = np.where(observed, self.error, 0.0)
        rested = self._motion.is_at_rest(stamp_s)
        sure = self.observer.sigma <= self._config.tolerance
        if observed is not None:
            sure |= ~observed
        sure |= ~np.isfinite(sigma)  # what is never seen is not waited for
        near = rested and self.residual <= self._config.tolerance and bool(sure.all())
        if self._matches:
            near = rested and self.residual <= self._config.match_from
            told = np.isfinite(sigma)
            self._sigma = np.where(told, np.maximum(sigma, self._config.seen_sigma), self._sigma)
        self._near = self._near + 1 if near else 0
        offset = np.abs(self.observer.offsets)
        if offset.max() > self._config.max_offset:
            k = int(offset.argmax())
            self._end(
                ServoState.IMPLAUSIBLE,
                f"joint {self._motion.limits.joint_names[k]!r} seems to be "
                f"{self.observer.offsets[k]:+.3f} off, more than max_offset "
                f"{self._config.max_offset:g}: its encoder, or what the camera sees, is wrong",
            )
        elif self._near >= self._config.settle_frames:
            if not self._matches:
                self._end(ServoState.REACHED, "")
                return
            self._before_match = self.goal + self.observer.offsets, self._sigma
            self._near = 0

    def match(self, stamp_s: float, turn: Vector, sigma: Vector, encoders: Vector) -> None:
        """Take how the joints have to turn for the camera's picture to become the goal's.

        Pictures of a moving arm are not taken. What they hardly show is left to the estimates.

        Args:
            stamp_s: of the camera's picture, on the servo's clock.
            turn: goal minus where the arm is in it [nq].
            sigma: standard deviations [nq].
            encoders: positions by the encoders at that moment [nq].
        """
        if not self.wants_match or not self._motion.is_at_rest(stamp_s):
            return
        assert self._before_match is not None
        aim, before = self._before_match
        compared = encoders + turn
        noise = (_DOUBT * sigma) ** 2 + (_APART * turn) ** 2
        told = np.isfinite(compared)
        self._compared += 1
        self._pull += np.where(told, 1 / noise, 0.0)
        self._pulled += np.where(told, compared / noise, 0.0)
        # Pictures from other poses err otherwise; alike enough that many are no surer than one.
        total = np.maximum(self._pull, 1e-12)
        mean, noise = self._pulled / total, self._compared / total
        # Estimates can be sure of a pose beside the true one: what contradicts them widens them.
        apart = mean - aim
        spread = before**2 + np.maximum(apart**2 - before**2 - noise, 0.0)
        gain = np.where(told, spread / (spread + noise), 0.0)
        aim = aim + gain * apart
        limits = self._motion.limits
        self.goal = np.clip(aim - self.observer.offsets, limits.lower, limits.upper)
        self.error = np.where(np.isfinite(encoders), aim - encoders, 0.0)
        if self._compared >= _COMPARISONS and self.residual <= self._enough:
            self._end(ServoState.REACHED, "")

    @property
    def _enough(self) -> float:
        # Comparisons are exact: what they leave is added to their error, not hidden in it.
        return self._config.tolerance / (1 if self._before_match is None else 2)

    def unmatched(self) -> None:
        """Take note that pictures cannot be compared: estimates have the last word."""
        self._matches, self._before_match = False, None

    def step(self, now_s: float, begin_s: float) -> Trajectory | None:
        """Return the motion to be taken over and sent now; None: the last one holds.

        Args:
            now_s: on the servo's clock.
            begin_s: when a new motion branches off: late enough to have reached the arm.
        """
        if self.ended:
            return self.halt(begin_s)
        if now_s - self._seen_s > self._config.stale_s:
            self._end(ServoState.BLIND, f"the arm was not seen for {now_s - self._seen_s:.2f} s")
            return self.halt(begin_s)
        if self.observer.frames < self._config.first_frames:
            return None
        if now_s - self._sent_s < self._config.period_s:
            return None
        aim = self.goal + self.observer.offsets
        if self._aim is not None and np.abs(aim - self._aim).max() < self._config.deadband:
            return None
        if self._motion.is_at_rest(now_s) and self.residual <= self._enough:
            return None  # near enough: looking on tells more than moving on
        self._sent_s = now_s
        return self._go(aim, now_s, begin_s)

    def dropped(self) -> None:
        """Take note that what `step` returned was not taken over."""
        self._aim, self._halting = None, False

    def halt(self, begin_s: float) -> Trajectory | None:
        """Return the deceleration to be taken over and sent; None where the arm rests."""
        if self._halting or self._motion.is_at_rest(begin_s):
            return None
        self._halting = True
        return self._motion.stop(begin_s)

    def _go(self, aim: Vector, now_s: float, begin_s: float) -> Trajectory | None:
        self._motion.offsets = self.observer.offsets
        try:
            motion = self._motion.to(self.goal, begin_s)
        except UnsafeMotionError as error:
            # The motion under way was found safe and ends at rest; more images may show a way.
            if self._motion.is_at_rest(now_s):
                self._end(ServoState.UNSAFE, str(error))
            return None
        except InputError as error:
            self._end(ServoState.UNSAFE, str(error))
            return self.halt(begin_s)
        self._aim = aim
        self.state = ServoState.MOVING
        self.corrections += 1
        return motion

    def _end(self, state: ServoState, reason: str) -> None:
        self.state, self.reason = state, reason
