"""The space a robot is looked for in: joint ranges, camera poses, and how hypotheses vary."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.localization import Guess
from drrobot_ros.estimation.manifold import Coordinates, exp_se3, kind_name

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Joint positions and camera poses that a guess allows.

    Attributes:
        guess: what is known.
        coordinates: how velocities move q.
        lower: least joint positions drawn [nq]; joints that turn more than once are drawn from one
            turn only.
        upper: largest joint positions drawn [nq].
        limits: the joints' own limits.
        turns: joints whose limits leave room for a full turn [nq].
    """

    guess: Guess
    coordinates: Coordinates
    lower: Vector
    upper: Vector
    limits: tuple[Vector, Vector]
    turns: NDArray[np.bool_]

    @classmethod
    def of(cls, model: Any, coordinates: Coordinates, guess: Guess) -> "SearchSpace":
        """Return the space of a checked guess."""
        limits = np.asarray(model.lower, np.float64), np.asarray(model.upper, np.float64)
        revolute = np.zeros(model.nq, bool)
        for kind, qi in zip(model.tree.joint_type, model.tree.q_index, strict=True):
            if qi >= 0 and is_revolute(kind):
                revolute[qi] = True
        turns = revolute & (limits[1] - limits[0] >= 2 * np.pi - 1e-6)
        middle = np.clip(0.0, limits[0], limits[1])
        lower = np.where(turns, np.maximum(limits[0], middle - np.pi), limits[0])
        upper = np.where(turns, np.minimum(limits[1], lower + 2 * np.pi), limits[1])
        # Unlimited sliding joints: a metre around the middle.
        lower = np.where(np.isfinite(lower), lower, middle - np.where(revolute, np.pi, 1.0))
        upper = np.where(np.isfinite(upper), upper, middle + np.where(revolute, np.pi, 1.0))
        if guess.q is not None:
            scalar = coordinates.v_to_q >= 0
            reach = np.zeros(model.nq)
            reach[coordinates.v_to_q[scalar]] = 3.0 * np.asarray(guess.q_sigma)[scalar]
            lower = np.maximum(limits[0], guess.q - reach)
            upper = np.minimum(limits[1], guess.q + reach)
        return cls(guess, coordinates, lower, upper, limits, turns)

    def joints(self, n: int, rng: np.random.Generator) -> Matrix:
        """Draw joint positions [n,nq]: around the guess, or evenly within the range."""
        guess = self.guess
        if guess.q is None:
            return rng.uniform(self.lower, self.upper, (n, len(self.lower)))
        steps = rng.normal(size=(n, self.coordinates.nv)) * guess.q_sigma
        q = np.stack([self.coordinates.integrate(guess.q, step) for step in steps])
        return np.clip(q, *self.limits)

    def cameras(
        self, n: int, rng: np.random.Generator, K: Matrix, size: tuple[int, int], points: Matrix
    ) -> NDArray[np.float64]:
        """Draw camera poses [n,4,4] that have the robot's base in view or nearly so.

        Args:
            n: how many.
            rng: source of chance.
            K: intrinsics [3,3] px.
            size: width and height of the image, px.
            points: [m,3] m, camera frame: where the base may stand if the camera is unknown.
        """
        guess = self.guess
        if guess.T_base_camera is None:
            return _anywhere(n, rng, points)
        if not guess.camera_free:
            return np.broadcast_to(guess.T_base_camera, (n, 4, 4)).copy()
        out = np.zeros((0, 4, 4))
        for _ in range(50):
            T = _boxed(guess, 2 * n, rng)
            base = -np.einsum("nji,nj->ni", T[:, :3, :3], T[:, :3, 3])
            depth = np.maximum(base[:, 2], 1e-6)
            u = (K[0, 0] * base[:, 0] / depth + K[0, 2]) / size[0]
            v = (K[1, 1] * base[:, 1] / depth + K[1, 2]) / size[1]
            seen = (base[:, 2] > 0.2) & (np.abs(u - 0.5) < 0.7) & (np.abs(v - 0.5) < 0.8)
            out = np.concatenate([out, T[seen]])
            if len(out) >= n:
                return out[:n]
        # The guess looks elsewhere: then the view is no help.
        return np.concatenate([out, _boxed(guess, n - len(out), rng)])

    def allows(self, T: NDArray[np.float64], slack: float = 1.25) -> NDArray[np.bool_]:
        """Return whether camera poses [n,4,4] lie within the guess, with some slack."""
        guess = self.guess
        if guess.T_base_camera is None or not guess.camera_free:
            return np.ones(len(T), bool)
        shift = np.abs(T[:, :3, 3] - guess.T_base_camera[:3, 3]).max(1)
        turn = rotation_vectors(guess.T_base_camera[:3, :3].T @ T[:, :3, :3])
        return (shift <= slack * guess.camera_half_m + 1e-9) & (
            np.abs(turn).max(1) <= slack * guess.camera_half_rad + 1e-9
        )

    def children(
        self, q: Matrix, T: NDArray[np.float64], n: int, rng: np.random.Generator
    ) -> tuple[Matrix, NDArray[np.float64]]:
        """Vary hypotheses, the better (first) ones more often; returns n of them.

        A child draws all joints from some joint on anew, or one joint; or turns joints by half a
        turn or mirrors them, as the flips of a nearly symmetric arm do; or shakes all of them.
        """
        count, nq = q.shape
        parent = np.minimum((rng.random(n) ** 1.5 * count).astype(int), count - 1)
        child, camera = q[parent].copy(), T[parent].copy()
        kind = rng.integers(0, 4, n)[:, None]
        first = rng.integers(0, nq, n)[:, None]
        drawn = self.joints(n, rng)
        index = np.arange(nq)[None]
        child = np.where((kind == 0) & (index >= first), drawn, child)
        child = np.where((kind == 1) & (index == first), drawn, child)
        half = (kind == 2) & (rng.random((n, nq)) < 0.25) & self.turns
        child = np.where(half, child + np.pi * rng.choice([-1.0, 1.0], (n, nq)), child)
        child = np.where((kind == 2) & (rng.random((n, nq)) < 0.15), -child, child)
        width = np.minimum(0.4, 0.2 * (self.upper - self.lower))
        child = np.where(kind == 3, child + rng.normal(size=(n, nq)) * width, child)
        child = self.wrapped(child)
        if self.guess.camera_free:
            steps = rng.normal(size=(n, 6)) * np.repeat([0.05, 0.08], 3)
            camera = np.stack([X @ exp_se3(step) for X, step in zip(camera, steps, strict=True)])
        return child, camera

    def distal(
        self, q: Matrix, T: NDArray[np.float64], n: int, rng: np.random.Generator
    ) -> tuple[Matrix, NDArray[np.float64]]:
        """Draw some of the last half of the joints of hypotheses anew; returns n of them."""
        parent = rng.integers(0, len(q), n)
        nq = q.shape[1]
        first = rng.integers(nq // 2, nq, n)[:, None]
        child = np.where(np.arange(nq)[None] >= first, self.joints(n, rng), q[parent])
        return self.wrapped(child), T[parent]

    def flips(self, q: Matrix) -> Matrix:
        """Return the flips of hypotheses [n * k,nq], k of each: arms often look nearly the same.

        One joint by half a turn; and two joints half a turn with the joint between them mirrored,
        which leaves the links beyond in place where three axes meet in a point.
        """
        nq = q.shape[1]
        out = []
        for k in np.flatnonzero(self.turns):
            flip = q.copy()
            flip[:, k] += np.pi
            out.append(flip)
        for k in range(nq - 2):
            if self.turns[k] and self.turns[k + 2]:
                flip = q.copy()
                flip[:, [k, k + 2]] += np.pi
                flip[:, k + 1] *= -1
                out.append(flip)
        if not out:
            return q
        return self.wrapped(np.stack(out, 1).reshape(-1, nq))

    def wrapped(self, q: Matrix) -> Matrix:
        """Return joint positions within the range, by whole turns where a joint can."""
        turn = 2 * np.pi
        q = np.where(self.turns & (q > self.upper), q - turn, q)
        q = np.where(self.turns & (q < self.lower), q + turn, q)
        return np.clip(q, *self.limits)


def is_revolute(kind: Any) -> bool:
    """Return whether a joint type, an enum or its number, is a hinge."""
    return kind_name(kind) == "REVOLUTE"


def rotation_vectors(R: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation vectors [n,3] rad of rotation matrices [n,3,3]."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(R).as_rotvec()


def _boxed(guess: Guess, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    from scipy.spatial.transform import Rotation

    assert guess.T_base_camera is not None
    T = np.broadcast_to(guess.T_base_camera, (n, 4, 4)).copy()
    turn = rng.uniform(-guess.camera_half_rad, guess.camera_half_rad, (n, 3))
    T[:, :3, 3] += rng.uniform(-guess.camera_half_m, guess.camera_half_m, (n, 3))
    T[:, :3, :3] = T[:, :3, :3] @ Rotation.from_rotvec(turn).as_matrix()
    return T


def _anywhere(n: int, rng: np.random.Generator, points: Matrix) -> NDArray[np.float64]:
    """Cameras that see the base at one of the points, turned in any way."""
    from scipy.spatial.transform import Rotation

    T = np.zeros((n, 4, 4))
    T[:, 3, 3] = 1.0
    # Quaternions of normal deviates point in every direction alike.
    T[:, :3, :3] = Rotation.from_quat(rng.normal(size=(n, 4))).as_matrix()
    base = points[rng.integers(0, len(points), n)] + rng.normal(size=(n, 3)) * 0.05
    T[:, :3, 3] = -np.einsum("nij,nj->ni", T[:, :3, :3], base)
    return T
