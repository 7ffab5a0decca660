"""Names of poses: what a hand shows, where an arm reaches, from the joint positions alone."""

import dataclasses
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel

Vector = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Caption:
    """A pose by name, and other words for it; the first is the usual one."""

    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """The usual words."""
        return self.words[0]


class PoseNames(Protocol):
    """The named poses of one robot."""

    captions: tuple[Caption, ...]

    def distances(self, q: Vector) -> Vector:
        """Return how far q is from each caption [n]: 0 is it, 1 its opposite."""
        ...

    def fits(self, q: Vector) -> Vector:
        """Return how well q fits each caption, 0..1 [n]."""
        ...

    def sample(self, random: np.random.Generator, caption: int | None) -> Vector:
        """Return a pose of a caption, or, with None, any: also nearly one, also unnatural ones."""
        ...


# -- hands -------------------------------------------------------------------------------------

FINGERS = ("thumb", "index", "middle", "ring", "little")
_TOKENS = {
    "thumb": ("th", "thumb"),
    "index": ("ff", "index"),
    "middle": ("mf", "middle"),
    "ring": ("rf", "ring"),
    "little": ("lf", "little", "pinky"),
}
#: What each shows, thumb to little finger: 1 stretched, 0 bent.
HAND_POSES: dict[Caption, tuple[int, ...]] = {
    Caption(("an open hand", "a flat hand", "all fingers stretched", "an open palm")): (1,) * 5,
    Caption(("a fist", "a closed hand", "a clenched fist", "all fingers bent")): (0,) * 5,
    Caption(("a pointing finger", "pointing", "the index finger pointing")): (0, 1, 0, 0, 0),
    Caption(("a victory sign", "victory", "a peace sign", "two fingers up")): (0, 1, 1, 0, 0),
    Caption(("thumbs up", "a thumb up", "the thumb stretched out")): (1, 0, 0, 0, 0),
    Caption(("a little finger up", "only the little finger", "the pinky up")): (0, 0, 0, 0, 1),
    Caption(("horns", "a rock sign", "index and little finger up")): (0, 1, 0, 0, 1),
    Caption(("three fingers up", "showing three", "the number three")): (0, 1, 1, 1, 0),
    Caption(("four fingers up", "showing four", "the number four")): (0, 1, 1, 1, 1),
    Caption(("a pistol", "a gun sign", "thumb and index finger stretched")): (1, 1, 0, 0, 0),
}


class HandPoses:
    """Poses of a hand whose joints are named after its fingers.

    Args:
        model: the hand.

    Raises:
        InputError: no joints of a finger are found.
    """

    def __init__(self, model: RobotModel) -> None:
        self._model = model
        self.captions = tuple(HAND_POSES)
        self._wanted = np.array(list(HAND_POSES.values()), float)
        self._flex: list[list[int]] = []
        for finger in FINGERS:
            own = [k for k, name in enumerate(model.joint_names) if _finger_of(name) == finger]
            flex = [k for k in own if model.upper[k] > 0.65 and model.lower[k] > -1.0]
            if not flex:
                raise InputError(f"{model.name!r} has no joints named after its {finger} finger")
            self._flex.append(flex)
        self._low, self._high = np.asarray(model.lower, float), np.asarray(model.upper, float)
        used = {k for finger in self._flex for k in finger}
        self._other = [k for k in range(model.nq) if k not in used]
        self._rest = np.clip(0.0, self._low, self._high)

    def curl(self, q: Vector) -> Vector:
        """Return how far each finger is bent, 0..1 [5]."""
        return np.array([float(self._bent(q, f).clip(0).mean()) for f in self._flex])

    def _bent(self, q: Vector, joints: list[int]) -> Vector:
        """Return how far joints are bent: 0 stretched, 1 as far as they go, negative beyond."""
        low = np.maximum(self._low[joints], 0.0)
        return np.asarray((q[joints] - low) / (self._high[joints] - low), np.float64)

    def distances(self, q: Vector) -> Vector:
        """Return how far q is from each caption [n]: 0 is it, 1 its opposite.

        The mean of the fingers' joints, plus what bends sideways or turns the wrist, which no
        caption asks for.
        """
        apart = []
        for f, joints in enumerate(self._flex):
            away = np.abs(self._bent(q, joints)[None] - (1 - self._wanted[:, f, None]))
            apart.append(np.maximum(away - 0.05, 0).mean(1))
        room = 0.5 * (self._high - self._low)[self._other]
        odd = np.maximum(np.abs((q - self._rest)[self._other]) / room - 0.1, 0)
        return np.asarray(np.mean(apart, 0) + 0.4 * odd.mean(), np.float64)

    def fits(self, q: Vector) -> Vector:
        """Return how well q fits each caption, 0..1 [n]."""
        return np.asarray(np.exp(-self.distances(q) / 0.12), np.float64)

    def sample(self, random: np.random.Generator, caption: int | None) -> Vector:
        """Return a pose of a caption, or, with None, any: also nearly one, also unnatural ones."""
        if caption is None:
            return self._any(random)
        return self._posed(random, 1 - self._wanted[caption], 0.12)

    def _posed(self, random: np.random.Generator, bent: Vector, loose: float) -> Vector:
        """Return a natural pose whose fingers are bent so far, [5] 0..1."""
        q = self._rest + random.normal(0, 0.06, len(self._rest))
        inward = np.where(bent > 0.5, -1, 1) * random.uniform(0, loose, 5)
        for finger, share in zip(self._flex, np.clip(bent + inward, 0, 1), strict=True):
            low = np.maximum(self._low[finger], 0)
            each = np.clip(share + random.normal(0, 0.05, len(finger)), 0, 1)
            q[finger] = low + each * (self._high[finger] - low)
        return np.asarray(np.clip(q, self._low, self._high), np.float64)

    def _any(self, random: np.random.Generator) -> Vector:
        kind = random.uniform()
        if kind < 0.25:  # Joints that do not belong together.
            q = random.uniform(self._low, self._high)
            if random.uniform() < 0.5:
                calm = self._posed(random, random.integers(0, 2, 5).astype(float), 0.2)
                mixed = random.uniform(size=len(q)) < random.uniform(0.2, 0.8)
                q = np.where(mixed, q, calm)
            return np.asarray(q, np.float64)
        if kind < 0.6:  # A caption with one finger, or two, on the way elsewhere.
            bent = 1 - self._wanted[random.integers(len(self._wanted))]
            for finger in random.choice(5, random.integers(1, 3), replace=False):
                bent[finger] = random.uniform()
        else:
            bent = random.beta(0.6, 0.6, 5)
        return self._posed(random, bent, 0.1)


def _finger_of(joint: str) -> str | None:
    name = joint.lower().removeprefix("rh_").removeprefix("lh_")
    for finger, tokens in _TOKENS.items():
        if any(name.startswith(t + "j") or t in name.split("_") for t in tokens):
            return finger
    return None


# -- arms --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Reach:
    """Where an arm's hand is, in lengths of the stretched arm.

    Attributes:
        aim: direction from the shoulder (x forward, y left, z up); zero: any.
        least: distance from the shoulder.
        most: the same.
        hang: how far it is below the arm's highest part, at least.
    """

    aim: tuple[float, float, float]
    least: float = 0.9
    most: float = 2.0
    hang: float = 0.0


ARM_POSES: dict[Caption, Reach] = {
    Caption(("the arm up", "the arm pointing straight up", "reaching up")): Reach((0, 0, 1), 0.95),
    Caption(("the arm folded", "a folded arm", "the arm pulled in")): Reach((0, 0, 0), 0, 0.3),
    Caption(("reaching left", "the arm stretched to the left")): Reach((0, 1, 0)),
    Caption(("reaching right", "the arm stretched to the right")): Reach((0, -1, 0)),
    Caption(("reaching forward", "the arm stretched forward")): Reach((1, 0, 0)),
    Caption(("reaching forward and up", "the arm raised in front")): Reach((0.7, 0, 0.7)),
    Caption(("reaching left and up", "the arm raised to the left")): Reach((0, 0.7, 0.7)),
    Caption(("reaching right and up", "the arm raised to the right")): Reach((0, -0.7, 0.7)),
    Caption(("bent to the left like a hook", "a hook to the left", "a crane turned left")): Reach(
        (0, 1, 0), 0.35, 0.7, 0.35
    ),
    Caption(("bent to the right like a hook", "a hook to the right", "a crane turned right")): (
        Reach((0, -1, 0), 0.35, 0.7, 0.35)
    ),
}


class ArmPoses:
    """Poses of an arm with a fixed base, by where its last link is.

    Args:
        model: the arm.

    Raises:
        InputError: it has fewer than three joints.
    """

    def __init__(self, model: RobotModel) -> None:
        if model.nq < 3 or model.nq != model.nv:
            raise InputError(f"{model.name!r} is no arm with at least three joints")
        self._model = model
        self.captions = tuple(ARM_POSES)
        self._tip = len(model.link_names) - 1
        self._shoulder = int(np.flatnonzero(model.tree.v_index >= 0)[1])
        random = np.random.default_rng(0)
        self._lower = np.where(np.isfinite(model.lower), model.lower, -np.pi).clip(-np.pi, np.pi)
        self._upper = np.where(np.isfinite(model.upper), model.upper, np.pi).clip(-np.pi, np.pi)
        self._pool = random.uniform(self._lower, self._upper, (40000, model.nq))
        T = model.forward_kinematics(torch.from_numpy(self._pool))[..., :3, 3].numpy()
        away = np.linalg.norm(T[:, self._tip] - T[:, self._shoulder], axis=1)
        self._reach = float(np.quantile(away, 0.999))
        self._pool_fits = np.exp(-self._distances(T) / 0.12)
        self._above = np.flatnonzero(T[:, self._shoulder :, 2].min(1) > 0.0)

    def _distances(self, T: NDArray[np.float64]) -> NDArray[np.float64]:
        away = T[..., self._tip, :] - T[..., self._shoulder, :]
        distance = np.linalg.norm(away, axis=-1)
        direction = away / np.maximum(distance, 1e-6)[..., None]
        stretched = distance / self._reach
        height = T[..., self._shoulder :, 2]
        hanging = (height.max(-1) - height[..., -1]) / self._reach
        # Nothing of an arm is below the table it stands on.
        below = np.maximum(-height.min(-1), 0) / self._reach
        found = []
        for pose in ARM_POSES.values():
            aim = np.asarray(pose.aim, float)
            far = np.zeros(len(T)) if T.ndim == 3 else np.zeros(())
            if aim.any():
                turn = np.arccos(np.clip(direction @ (aim / np.linalg.norm(aim)), -1, 1))
                far = far + 0.45 * np.maximum(turn - 0.15, 0)
            length = np.maximum(pose.least - stretched, 0) + np.maximum(stretched - pose.most, 0)
            hang = np.maximum(pose.hang - hanging, 0)
            found.append(far + 0.7 * (length + hang) + below)
        return np.minimum(np.stack(found, -1), 1.2)

    def distances(self, q: Vector) -> Vector:
        """Return how far q is from each caption [n]: 0 is it, 1 its opposite."""
        T = self._model.forward_kinematics(torch.from_numpy(np.asarray(q, np.float64)))
        return self._distances(T[..., :3, 3].numpy())

    def fits(self, q: Vector) -> Vector:
        """Return how well q fits each caption, 0..1 [n]."""
        return np.asarray(np.exp(-self.distances(q) / 0.12), np.float64)

    def sample(self, random: np.random.Generator, caption: int | None) -> Vector:
        """Return a pose of a caption, or, with None, any, now and then through the table."""
        usable = self._above
        if caption is not None:
            good = usable[self._pool_fits[usable, caption] > 0.75]
            if len(good) < 30:
                good = usable[np.argsort(-self._pool_fits[usable, caption])[:30]]
            usable = good
        elif random.uniform() < 0.15:
            usable = np.arange(len(self._pool))
        q = self._pool[random.choice(usable)] + random.normal(0, 0.03, self._model.nq)
        return np.asarray(np.clip(q, self._lower, self._upper), np.float64)


def pose_names(model: RobotModel) -> PoseNames:
    """Return the named poses of a robot: a hand's if its joints are named after fingers."""
    try:
        return HandPoses(model)
    except InputError:
        return ArmPoses(model)
