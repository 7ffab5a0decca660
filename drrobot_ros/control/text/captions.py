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

    def fits(self, q: Vector) -> Vector:
        """Return how well q fits each caption, 0..1 [n]."""
        ...

    def sample(self, random: np.random.Generator, caption: int | None) -> Vector:
        """Return a pose of a caption, or, with None, of none in particular."""
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

    def curl(self, q: Vector) -> Vector:
        """Return how far each finger is bent, 0..1 [5]."""
        low, high = np.maximum(self._model.lower, 0.0), self._model.upper
        bent = [float(np.mean((q[f] - low[f]).clip(0) / (high[f] - low[f]))) for f in self._flex]
        return np.array(bent)

    def fits(self, q: Vector) -> Vector:
        """Return how well q fits each caption, 0..1 [n]."""
        away = np.abs(self.curl(q) - (1 - self._wanted))
        return np.asarray(np.exp(-np.maximum(away - 0.12, 0).sum(1) / 0.35), np.float64)

    def sample(self, random: np.random.Generator, caption: int | None) -> Vector:
        """Return a pose of a caption, or, with None, of none in particular."""
        low, high = np.asarray(self._model.lower), np.asarray(self._model.upper)
        q = np.clip(random.normal(0, 0.1, len(low)), low, high)
        if caption is None:
            bent = random.uniform(0, 1, 5)
        else:
            bent = np.where(self._wanted[caption] > 0, 0.0, 1.0)
            bent = bent + np.where(bent > 0, -1, 1) * random.uniform(0, 0.25, 5)
        for finger, share in zip(self._flex, bent, strict=True):
            each = np.clip(share + random.normal(0, 0.06, len(finger)), 0, 1)
            q[finger] = np.maximum(low[finger], 0) + each * (
                high[finger] - np.maximum(low[finger], 0)
            )
        return np.asarray(np.clip(q, low, high), np.float64)


def _finger_of(joint: str) -> str | None:
    name = joint.lower().removeprefix("rh_").removeprefix("lh_")
    for finger, tokens in _TOKENS.items():
        if any(name.startswith(t + "j") or t in name.split("_") for t in tokens):
            return finger
    return None


# -- arms --------------------------------------------------------------------------------------

#: Direction of the hand from the shoulder (x forward, y left, z up; zero: any) and how far it is
#: stretched out, 0..1.
ARM_POSES: dict[Caption, tuple[tuple[float, float, float], float]] = {
    Caption(("the arm up", "the arm pointing straight up", "reaching up")): ((0, 0, 1), 0.95),
    Caption(("the arm folded", "a folded arm", "the arm pulled in")): ((0, 0, 0), 0.3),
    Caption(("reaching left", "the arm stretched to the left")): ((0, 1, 0), 0.9),
    Caption(("reaching right", "the arm stretched to the right")): ((0, -1, 0), 0.9),
    Caption(("reaching forward", "the arm stretched forward")): ((1, 0, 0), 0.9),
    Caption(("reaching forward and up", "the arm raised in front")): ((0.7, 0, 0.7), 0.9),
    Caption(("reaching left and up", "the arm raised to the left")): ((0, 0.7, 0.7), 0.9),
    Caption(("reaching right and up", "the arm raised to the right")): ((0, -0.7, 0.7), 0.9),
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
        self._pool = random.uniform(self._lower, self._upper, (20000, model.nq))
        T = model.forward_kinematics(torch.from_numpy(self._pool))[..., :3, 3].numpy()
        away = np.linalg.norm(T[:, self._tip] - T[:, self._shoulder], axis=1)
        self._reach = float(np.quantile(away, 0.999))
        self._pool_fits = self._fits(T)
        # Nothing of an arm is below the table it stands on.
        self._above = T[:, self._shoulder :, 2].min(1) > 0.0

    def _fits(self, T: NDArray[np.float64]) -> NDArray[np.float64]:
        away = T[..., self._tip, :] - T[..., self._shoulder, :]
        distance = np.linalg.norm(away, axis=-1)
        direction = away / np.maximum(distance, 1e-6)[..., None]
        stretched = distance / self._reach
        fits = []
        for wanted, length in ARM_POSES.values():
            aim = np.asarray(wanted)
            if not aim.any():
                fits.append(np.exp(-np.maximum(stretched - length, 0) / 0.15))
                continue
            angle = np.arccos(np.clip(direction @ (aim / np.linalg.norm(aim)), -1, 1))
            short = np.maximum(length - stretched, 0)
            fits.append(np.exp(-((np.maximum(angle - 0.15, 0) / 0.35) ** 2) - short / 0.15))
        return np.stack(fits, -1)

    def fits(self, q: Vector) -> Vector:
        """Return how well q fits each caption, 0..1 [n]."""
        T = self._model.forward_kinematics(torch.from_numpy(np.asarray(q, np.float64)))
        return self._fits(T[..., :3, 3].numpy())

    def sample(self, random: np.random.Generator, caption: int | None) -> Vector:
        """Return a pose of a caption, or, with None, of none in particular."""
        usable = np.flatnonzero(self._above)
        if caption is not None:
            good = usable[self._pool_fits[usable, caption] > 0.75]
            if len(good) < 5:
                good = usable[np.argsort(-self._pool_fits[usable, caption])[:20]]
            usable = good
        q = self._pool[random.choice(usable)] + random.normal(0, 0.03, self._model.nq)
        return np.asarray(np.clip(q, self._lower, self._upper), np.float64)


def pose_names(model: RobotModel) -> PoseNames:
    """Return the named poses of a robot: a hand's if its joints are named after fingers."""
    try:
        return HandPoses(model)
    except InputError:
        return ArmPoses(model)
