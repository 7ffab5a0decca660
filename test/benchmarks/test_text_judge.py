"""The judge of hands: TFLite's convolutions, and what counts as open; rows without a robot."""

import types
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def judge(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import control_text_judge  # type: ignore[import-not-found]

    return control_text_judge


def options(stride: int, padding: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(
        StrideH=lambda: stride, StrideW=lambda: stride, Padding=lambda: padding
    )


def test_convolutions_pad_as_tflite_does(judge) -> None:
    # An even image, a 3x3 kernel, stride 2: TFLite pads below and to the right only.
    x = torch.arange(16.0).reshape(1, 4, 4, 1)
    weight, bias = torch.zeros(1, 3, 3, 1), torch.tensor([0.5])
    weight[0, 0, 0, 0] = 1  # takes the upper left pixel of each window
    found = judge._convolve([x, weight, bias], options(2, 0), depthwise=False)
    assert found[0, :, :, 0].tolist() == [[0.5, 2.5], [8.5, 10.5]]
    valid = judge._convolve([x, weight, bias], options(1, 1), depthwise=False)
    assert valid[0, :, :, 0].tolist() == [[0.5, 1.5], [4.5, 5.5]]
    # Each channel by its own kernel.
    two = torch.stack([x[..., 0], 10 * x[..., 0]], -1)
    each = torch.zeros(1, 3, 3, 2)
    each[0, 1, 1] = torch.tensor([1.0, 2.0])
    apart = judge._convolve([two, each, torch.zeros(2)], options(1, 0), depthwise=True)
    assert torch.equal(apart[..., 0], x[..., 0]) and torch.equal(apart[..., 1], 20 * x[..., 0])


def test_fingertips_near_the_wrist_are_a_closed_hand(judge) -> None:
    hand = np.zeros((21, 3))
    for finger, knuckle in enumerate((5, 9, 13, 17)):
        hand[knuckle] = [0.02 * finger, 0.08, 0]
        hand[knuckle + 3] = [0.02 * finger, 0.16, 0]
    flat = judge.openness(hand)
    for knuckle in (5, 9, 13, 17):
        hand[knuckle + 3, 1] = 0.06
    assert judge.openness(hand) < 1
    assert 1.8 < flat < 2.01


def test_the_network_may_be_missing(judge, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("DRROBOT_HAND_LANDMARKS", raising=False)
    monkeypatch.setattr(judge, "_WHEELS", tmp_path)
    refused = types.SimpleNamespace(returncode=1)
    monkeypatch.setattr(judge.subprocess, "run", lambda *_, **__: refused)
    assert judge.fetch() is None
    (tmp_path / "own.tflite").write_bytes(b"x")
    monkeypatch.setenv("DRROBOT_HAND_LANDMARKS", str(tmp_path / "own.tflite"))
    assert judge.fetch() == b"x"
