"""Motion blur and rolling exposure, on a drawing that needs no graphics."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.simulation import ExposureConfig, Frame, expose


def bar(time_s: float) -> Frame:
    """A white column that moves one pixel per 10 ms over 20 pixels; q says when."""
    rgb = np.zeros((10, 20, 3), np.uint8)
    rgb[:, int(np.floor(time_s * 100 + 1e-9))] = 255
    return Frame(rgb, None, None, np.array([time_s]), np.eye(4))


def test_an_instant_is_what_was_drawn():
    frame = expose(bar, 0.05, ExposureConfig())
    np.testing.assert_array_equal(frame.rgb, bar(0.05).rgb)


def test_blur_spreads_light_over_the_way_and_keeps_the_truth_of_the_middle():
    frame = expose(bar, 0.1, ExposureConfig(shutter_s=0.08, samples=8))
    lit = frame.rgb[0, :, 0]
    assert list(np.flatnonzero(lit)) == list(range(6, 14))
    light = (lit / 255.0) ** 2.2
    assert light.sum() == pytest.approx(1.0, abs=0.02)
    assert frame.q[0] == 0.1


def test_rolling_readout_shows_later_rows_later():
    frame = expose(bar, 0.1, ExposureConfig(readout_s=0.1, samples=10))
    at = frame.rgb[..., 0].argmax(1)
    assert list(at) == list(range(5, 15))
    assert (frame.rgb[..., 0].max(1) == 255).all()


def test_a_time_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="finite"):
        expose(bar, np.nan, ExposureConfig())
