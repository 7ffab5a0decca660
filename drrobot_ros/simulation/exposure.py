"""Images of a moving scene as a real sensor takes them: over a while, and row after row."""

import dataclasses
from collections.abc import Callable

import numpy as np

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.simulation.robot import Frame


@dataclasses.dataclass(frozen=True)
class ExposureConfig:
    """How long a sensor gathers light, and how long it takes from the first row to the last."""

    shutter_s: float = setting(
        0.0, "each row gathers light this long: motion blurs", unit="s", minimum=0.0, maximum=1.0
    )
    readout_s: float = setting(
        0.0,
        "from the first row's exposure to the last one's: motion bends (rolling shutter)",
        unit="s",
        minimum=0.0,
        maximum=1.0,
    )
    samples: int = setting(8, "instants drawn for an image", minimum=1, maximum=64)

    def __post_init__(self) -> None:
        validate(self)


def expose(render: Callable[[float], Frame], time_s: float, config: ExposureConfig) -> Frame:
    """Return the image whose exposure is centred at a time.

    Colours are averaged in linear light. Depth, mask and the true positions are those of the
    instant `time_s`: the middle of the middle row's exposure.

    Args:
        render: draws the scene at a time, s.
        time_s: middle of the exposure.
        config: shutter and readout.

    Raises:
        InputError: time_s is not finite.
    """
    if not np.isfinite(time_s):
        raise InputError(f"time_s must be finite, got {time_s}")
    truth = render(time_s)
    span = config.shutter_s + config.readout_s
    if span == 0 or config.samples == 1:
        return truth
    height = len(truth.rgb)
    offsets = (np.arange(config.samples) + 0.5) / config.samples * span - 0.5 * span
    middle = ((np.arange(height) + 0.5) / height - 0.5) * config.readout_s
    distance = np.abs(offsets[:, None] - middle)
    # With a short shutter the nearest instant stands in for a row's own.
    reach = np.maximum(0.5 * config.shutter_s, distance.min(0) + 1e-12)
    weights = (distance <= reach).astype(np.float64)
    weights /= weights.sum(0)
    light = np.zeros(truth.rgb.shape)
    for offset, weight in zip(offsets, weights, strict=True):
        rows = np.flatnonzero(weight)
        if len(rows):
            seen = render(time_s + float(offset)).rgb[rows] / 255.0
            light[rows] += weight[rows, None, None] * seen**2.2
    rgb = (255.0 * light ** (1 / 2.2) + 0.5).astype(np.uint8)
    return dataclasses.replace(truth, rgb=rgb)
