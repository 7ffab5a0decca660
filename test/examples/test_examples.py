"""The examples run as they are, stay short, and do what they say."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from drrobot_ros.errors import BackendError
from drrobot_ros.simulation.gl import make_context

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location("example", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.stem)
def test_is_short(path):
    assert len(path.read_text().splitlines()) <= 60


def test_forward_kinematics(capsys):
    example = load("01_forward_kinematics")
    example.main(example.ARM)
    assert "six_axis_arm: 6 positions" in capsys.readouterr().out


def test_render(tmp_path, capsys):
    example = load("02_render")
    example.main(example.ARM, tmp_path)
    assert "10000 Gaussians" in capsys.readouterr().out
    assert (tmp_path / "robot.png").stat().st_size > 5000
    assert (tmp_path / "robot.npz").is_file()


@pytest.fixture
def graphics():
    try:
        make_context(16, 16).free()
    except BackendError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_track_simulated(graphics):
    example = load("03_track_simulated")
    errors = example.main(example.ARM, 15)
    assert np.median(errors[5:], axis=0).max() < 2.0


@pytest.mark.slow
def test_calibrate(graphics, tmp_path, monkeypatch):
    example = load("04_calibrate")
    monkeypatch.setattr(example, "POSES", 5)
    wrong_mm, wrong_deg = example.main(str(example.ARM), tmp_path)
    assert wrong_mm < 12.0
    assert wrong_deg < 0.3
    assert (tmp_path / "camera_tf.launch.xml").is_file()
