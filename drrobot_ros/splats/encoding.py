"""Fourier features, small networks, and their states as plain numbers and tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from drrobot_ros.errors import InputError


def fourier(x: Tensor, frequencies: int) -> Tensor:
    """Return x with sines and cosines of its octaves: [..., D] to [..., D (1 + 2 frequencies)].

    Args:
        x: about -1 to 1.
        frequencies: octaves; the highest has a period of 2^(2 - frequencies).

    Source: Mildenhall et al. 2020, NeRF, equation 4.
    """
    if frequencies == 0:
        return x
    octaves = torch.pi * 2.0 ** torch.arange(frequencies, dtype=x.dtype, device=x.device)
    angles = (x[..., None] * octaves).flatten(-2)
    return torch.cat([x, angles.sin(), angles.cos()], dim=-1)


def fourier_size(size: int, frequencies: int) -> int:
    """Return the number of features `fourier` makes of `size` numbers."""
    return size * (1 + 2 * frequencies)


def make_network(inputs: int, hidden: int, layers: int, outputs: int) -> nn.Sequential:
    """Return a network of `layers` linear layers with ReLU between them; the last starts at 0."""
    parts: list[nn.Module] = []
    width = inputs
    for _ in range(layers - 1):
        parts += [nn.Linear(width, hidden), nn.ReLU()]
        width = hidden
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*parts, last)


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Set a module's parameters and buffers.

    Raises:
        InputError: a tensor is missing, superfluous, of another shape or not finite.
    """
    wanted = module.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    extra = sorted(tensors.keys() - wanted.keys())
    if missing or extra:
        raise InputError(f"network: missing {missing or 'none'}, superfluous {extra or 'none'}")
    for name, tensor in wanted.items():
        given = tensors[name]
        if given.shape != tensor.shape:
            raise InputError(
                f"network: {name} must be {list(tensor.shape)}, got {list(given.shape)}"
            )
        if given.is_floating_point() and not bool(torch.isfinite(given).all()):
            raise InputError(f"network: {name} has numbers that are not finite")
    module.load_state_dict(dict(tensors))


def whole_number(config: Mapping[str, object], name: str, low: int, high: int) -> int:
    """Return a whole number of a stored configuration.

    Raises:
        InputError: it is missing or out of range.
    """
    value = config.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"network: {name} must be a whole number {low} to {high}, got {value!r}")
    return value
