"""Which combinations of a robot's parameters its torques can show at all, and how well they do.

Source: Gautier, "Numerical calculation of the base inertial parameters of robots", 1991 (QR with
column pivoting).
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.identification.linear import Layout, matrix
from drrobot_ros.robot import RobotModel

Array = NDArray[np.float64]

RANK_TOLERANCE = 1e-8  # of the largest, both of scaled parameters
_STATES = 120


@dataclasses.dataclass(frozen=True, eq=False)
class BaseParameters:
    """The identifiable combinations ``B @ x`` [b] of the parameters x [P].

    Attributes:
        layout: of x.
        independent: [b] the parameter that leads each combination.
        B: [b, P] the combinations; the leading parameter has factor one.
        silent: names of parameters that no motion of the joints not held shows.
    """

    layout: Layout
    independent: NDArray[np.int64]
    B: Array
    silent: tuple[str, ...]

    def describe(self) -> list[str]:
        """Return each combination in words, the leading parameter first."""
        return [self.combination(k) for k in range(len(self.independent))]

    def combination(self, k: int) -> str:
        """Return combination k in words."""
        names, lead = self.layout.names, int(self.independent[k])
        words = names[lead]
        for i in np.flatnonzero(np.abs(self.B[k]) > 1e-6):
            if i != lead:
                sign = "+" if self.B[k, i] > 0 else "-"
                words += f" {sign} {abs(self.B[k, i]):.4g} * {names[i]}"
        return words

    def combined(self) -> list[str]:
        """Return in words what can be found only together with something else."""
        return [f"only together: {self.combination(k)}" for k in self._shared()]

    def _shared(self) -> list[int]:
        return [k for k, row in enumerate(self.B) if np.sum(np.abs(row) > 1e-6) > 1]

    def scaled(self, W: Array) -> Array:
        """Return the regressor [..., b] of the base parameters in units of their usual sizes."""
        return W[..., self.independent] * self.layout.scale[self.independent]


def base_parameters(
    model: RobotModel,
    layout: Layout | None = None,
    held: Mapping[str, float] | None = None,
    seed: int = 0,
) -> BaseParameters:
    """Return the base parameters of a robot, from random states within its limits.

    Args:
        model: the robot.
        layout: of its parameters.
        held: joints that stand still, with their positions; their torques are not known.
        seed: of the random states.

    Raises:
        InputError: the robot has no link with mass that a joint moves.
    """
    layout = layout or Layout.of(model)
    if not layout.links:
        raise InputError(f"{model.name!r} has no link with mass that a joint moves")
    from scipy.linalg import qr, solve_triangular

    random = np.random.default_rng(seed)
    q = model.random_configuration(_STATES, seed).numpy()
    v, a = random.normal(size=(2, _STATES, model.nv)) * np.array([2.0, 10.0])[:, None, None]
    still = [model.joint_v_index(name) for name in held or {}]
    q[:, still], v[:, still], a[:, still] = list((held or {}).values()), 0.0, 0.0
    W = np.delete(matrix(model, layout, q, v, a), still, axis=1)
    W = W.reshape(-1, len(layout.names)) * layout.scale
    found: tuple[Array, Array] = qr(W, mode="r", pivoting=True)  # pyright: ignore
    R, pivots = found[0], np.asarray(found[1], dtype=np.int64)
    size = np.abs(np.diag(R[: R.shape[1]]))
    rank = int(np.sum(size > RANK_TOLERANCE * size[0]))
    # Order of the columns as in x, so that names read from the base to the tip.
    first, rest = np.sort(pivots[:rank]), np.sort(pivots[rank:])
    R = np.asarray(np.linalg.qr(W[:, np.concatenate([first, rest])], mode="r"))
    mixing = solve_triangular(R[:rank, :rank], R[:rank, rank:])
    B = np.zeros((rank, len(layout.names)))
    B[np.arange(rank), first] = 1.0
    B[:, rest] = mixing * layout.scale[first][:, None] / layout.scale[rest][None, :]
    B[np.abs(B) * layout.scale[None, :] < 1e-7 * layout.scale[first][:, None]] = 0.0
    norms = np.linalg.norm(W, axis=0)
    silent = tuple(layout.names[i] for i in np.flatnonzero(norms < 1e-9 * norms.max()))
    return BaseParameters(layout, first, B, silent)


def condition_number(scaled: Array) -> float:
    """Return the condition number of [n, b] with columns scaled to the same length."""
    norms = np.linalg.norm(scaled, axis=0)
    if not norms.all():
        return float("inf")
    values = np.linalg.svd(scaled / norms, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else float("inf")
