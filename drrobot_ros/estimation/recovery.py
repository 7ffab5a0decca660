"""Finds a lost robot again, beside the tracker: one image is searched while others go on coming.

A search takes from half a second (around the last estimate) to several (the whole joint range), so
it runs in a thread of its own, of low priority. What it finds belongs to an image that is old by
then: it is carried on by the encoders' motion if there are any, has to explain the newest image
better than the estimate there is, and is believed only once the tracker's own agreement has held;
by colours alone for longer, and only if its neighbours do not do better.
"""

import atexit
import contextlib
import dataclasses
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.belief import Belief
from drrobot_ros.estimation.localize import Guess, Localizer
from drrobot_ros.estimation.localize_space import is_revolute
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.observation import Observation

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

CAMERA_BOX = 2.0  # standard deviations of a camera that is estimated
FARTHEST = 0.5  # rad or m: farther off a start is no help
# Around a place found in an image that is old by now, rad or m.
CLOSE = 0.25
# One search in so many is everywhere: what covered the arm for a moment is gone by then.
EVERY = 3
# The end of the process waits for a search at most so long.
EXIT_S = 10.0
# The next search everywhere waits as long as the last took: half of a core is enough.

# By colours alone a flipped wrist agrees as well as the right one; a neighbour of it does better.
# Right poses lead their neighbours by -0.011 of their score or more, wrong ones by at most -0.014.
COLORS_MARGIN, COLORS_CONFIRM = -0.0125, 2

Run = Callable[[Callable[[], None]], None]


@dataclasses.dataclass(frozen=True)
class Query:
    """What is searched.

    Attributes:
        name: of the camera.
        observation: its image.
        q: joint positions [nq] last believed.
        T: the camera's pose [4,4] last believed.
        readings: encoder readings [nq] at the time of the image, NaN where unknown, or None.
        hint: joint positions [nq] that a search led to since, not confirmed; None: none.
        camera_box: half the box the camera is looked for in, m and rad; (0, 0): it is known.
    """

    name: str
    observation: Observation
    q: Vector
    T: Matrix
    readings: Vector | None = None
    hint: Vector | None = None
    camera_box: tuple[float, float] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Found:
    """Where the robot may have been in the image of a query, best first.

    Attributes:
        query: what was asked.
        q: joint positions [n,nq].
        T: camera poses [n,4,4].
    """

    query: Query
    q: Matrix
    T: NDArray[np.float64]

    def carried(self, readings: Vector | None, coordinates: Coordinates) -> list[Vector]:
        """Return the joint positions, each [nq], moved on as the encoders did since.

        Args:
            readings: encoder readings [nq] now, NaN where unknown, or None.
            coordinates: how velocities move q.
        """
        before = self.query.readings
        if readings is None or before is None:
            return list(self.q)
        there = np.isfinite(readings) & np.isfinite(before)
        step = coordinates.difference(np.where(there, before, 0.0), np.where(there, readings, 0.0))
        return [coordinates.integrate(q, step) for q in self.q]


def trial(query: Query, confirm: int) -> Belief:
    """Return the belief in what was found: so many images have to agree before it is tracked.

    Found by colours alone it takes more images, and none of its neighbours may explain them better.

    Args:
        query: what was asked.
        confirm: images in a row where there is depth.
    """
    if query.observation.depth_m is not None:
        return Belief(confirm)
    return Belief(COLORS_CONFIRM * confirm, COLORS_MARGIN)


def in_thread(work: Callable[[], None]) -> None:
    """Run work in a thread of low priority; the process waits for it at its end, but not long."""

    def run() -> None:
        # On Linux priorities are the threads' own.
        with contextlib.suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        work()

    thread = threading.Thread(target=run, name="recovery", daemon=True)
    thread.start()
    _threads.add(thread)


# The kernels of a search read the robot, which the end of the process frees under their hands.
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


@atexit.register
def wait_for_searches() -> None:
    """Wait until no search is under way, ten seconds at most; called at the end of the process."""
    until = time.monotonic() + EXIT_S
    for thread in list(_threads):
        thread.join(max(until - time.monotonic(), 0.0))


class Recovery:
    """Searches images for the robot, one at a time; used from one thread.

    Tries in turn: twice around the last estimate, then (if allowed) the whole joint range, then
    around what that led to (the arm has gone on meanwhile), and so on, always with other random
    hypotheses.

    Args:
        model: the robot.
        gaussians: its splats.
        run: runs the work; tests run it at once.
        clock: time in s.
    """

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        run: Run = in_thread,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._gaussians, self._run, self._clock = model, gaussians, run, clock
        self._localizer: Localizer | None = None
        self._lock = threading.Lock()
        self._answer: Found | None = None
        self._generation = 0
        self._running = False
        self._began_s = self._pause_until_s = -np.inf
        self.attempt = 0
        self._wide = False
        self._place = ""
        #: why the last search failed, in words; empty where it did not
        self.failure = ""

    def reset(self) -> None:
        """Forget what was searched; the answer of a search under way will be ignored."""
        with self._lock:
            self._generation += 1
            self._answer = None
        self.attempt, self._place = 0, ""
        self._pause_until_s = -np.inf

    @property
    def searching(self) -> bool:
        """Whether a search is under way, or its answer was not taken yet."""
        with self._lock:
            return bool(self._place) and (self._running or self._answer is not None)

    @property
    def progress(self) -> str:
        """What is being done, in words; empty where nothing is."""
        if not self.searching:
            return ""
        age = max(self._clock() - self._began_s, 0.0)
        return f"searching {self._place}, attempt {self.attempt}, for {age:.1f} s"

    def start(self, query: Query, reach: str, sigma: float) -> bool:
        """Search an image, unless a search is under way or it is too soon after the last.

        Args:
            query: image and what is known.
            reach: "near" or "anywhere".
            sigma: how far from the last estimate to look at first, rad or m.

        Returns:
            Whether a search was started.
        """
        with self._lock:
            if self._running or self._answer is not None:
                return False
            wide = reach == "anywhere" and self.attempt % EVERY == EVERY - 1
            if wide and self._clock() < self._pause_until_s:
                return False
            self._running = True
            generation = self._generation
        self.attempt += 1
        self._wide = wide
        self._place = "everywhere" if wide else "around the last estimate"
        self._began_s = self._clock()
        if wide:
            shift, turn = query.camera_box
            guess = Guess(None, 0.0, query.T, shift, turn)
        elif query.hint is not None:
            guess = Guess(query.hint, CLOSE, query.T)
        else:
            # The arm may have gone on: each attempt looks farther.
            spread = min(sigma * 1.5 ** (self.attempt - 1), max(sigma, FARTHEST))
            guess = Guess(query.q, spread, query.T)
        rng = np.random.default_rng(self.attempt)
        self._run(lambda: self._search(query, guess, rng, generation))
        return True

    def take(self) -> Found | None:
        """Return what the last search found, once; None while it runs."""
        with self._lock:
            answer, self._answer = self._answer, None
        if answer is not None:
            self._place = ""
            if self._wide:
                self._pause_until_s = 2 * self._clock() - self._began_s
        return answer

    def _search(
        self, query: Query, guess: Guess, rng: np.random.Generator, generation: int
    ) -> None:
        n = self._model.nq
        q, T, failure = np.zeros((0, n)), np.zeros((0, 4, 4)), ""
        try:
            if self._localizer is None:
                self._localizer = Localizer(self._model, self._gaussians)
            found = self._localizer.find(query.observation, guess, rng)
            if found.candidates:
                q = np.stack([c.q for c in found.candidates])
                T = np.stack([c.T_base_camera for c in found.candidates])
            failure = found.reason
        except Exception as error:  # a search that fails must not end tracking
            failure = f"the search failed: {error}"
        with self._lock:
            self._running = False
            self.failure = failure
            if generation == self._generation:
                self._answer = Found(query, q, T)


def flips(q: Vector, hinges: NDArray[np.intp], limits: tuple[Vector, Vector]) -> list[Vector]:
    """Return the flips of joint positions [nq] that the limits allow: they look nearly the same.

    One hinge by half a turn; two hinges by half a turn with the one between them mirrored, which
    leaves what is beyond in place where three axes meet in a point.

    Args:
        q: joint positions [nq].
        hinges: indices of the revolute joints into q, from base to tip.
        limits: lower and upper [nq].
    """
    found = []

    def add(turned: NDArray[np.intp], mirrored: NDArray[np.intp]) -> None:
        flip = q.copy()
        flip[mirrored] *= -1
        down = flip[turned] - np.pi
        flip[turned] = np.where(down >= limits[0][turned], down, down + 2 * np.pi)
        if (flip >= limits[0]).all() and (flip <= limits[1]).all():
            found.append(flip)

    for i in range(len(hinges)):
        add(hinges[i : i + 1], hinges[:0])
        if i + 2 < len(hinges):
            add(hinges[[i, i + 2]], hinges[i + 1 : i + 2])
    return found


def nearest_turn(
    q: Vector, to: Vector, hinges: NDArray[np.intp], limits: tuple[Vector, Vector]
) -> Vector:
    """Return joint positions [nq] by whole turns as near to others as the limits allow.

    Images do not tell whole turns; the last estimate does.

    Args:
        q: joint positions [nq].
        to: those to be near to [nq].
        hinges: indices of the revolute joints into q.
        limits: lower and upper [nq].
    """
    turn = 2 * np.pi
    moved = q.copy()
    moved[hinges] += turn * np.rint((to - q)[hinges] / turn)
    return np.where((moved >= limits[0]) & (moved <= limits[1]), moved, q)


def revolute_joints(model: Any) -> NDArray[np.intp]:
    """Return the indices into q of a robot's hinges, from base to tip."""
    tree = model.tree
    found = [
        qi
        for kind, qi in zip(tree.joint_type, tree.q_index, strict=True)
        if qi >= 0 and is_revolute(kind)
    ]
    return np.array(found, np.intp)
