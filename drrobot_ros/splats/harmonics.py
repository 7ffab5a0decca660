"""Real spherical harmonics of degree 0 to 2: colours that depend on the direction of view.

Source: Sloan (2008), Stupid Spherical Harmonics Tricks; signs as in 3D Gaussian splatting.
"""

import torch
from torch import Tensor

#: Functions of degree 0 to 2, and those beside the constant one.
COUNT = 9
BEYOND_CONSTANT = COUNT - 1

_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)


def basis(directions: Tensor) -> Tensor:
    """Return the harmonics of degrees 1 and 2 [..., 8] at unit directions [..., 3].

    The constant one is left out: what is constant belongs to the base colour.
    """
    x, y, z = directions.unbind(-1)
    return torch.stack(
        [
            -_C1 * y,
            _C1 * z,
            -_C1 * x,
            _C2[0] * x * y,
            -_C2[0] * y * z,
            _C2[1] * (3 * z * z - 1),
            -_C2[0] * x * z,
            _C2[2] * (x * x - y * y),
        ],
        dim=-1,
    )


def evaluate(coefficients: Tensor, directions: Tensor) -> Tensor:
    """Return sums of harmonics of degrees 1 and 2.

    Args:
        coefficients: [..., 8, 3], a colour for each function.
        directions: [..., 3], unit.

    Returns:
        [..., 3]; gradients flow to both.
    """
    return (basis(directions)[..., None] * coefficients).sum(dim=-2)
