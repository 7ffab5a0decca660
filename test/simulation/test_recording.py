"""Videos rendered once and played often."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.simulation import RenderedVideo, SceneConfig, SimulatedRobot, sinusoid_motion


@pytest.fixture
def video(robot, graphics):
    arm = robot("six_axis_arm")
    camera = PinholeCamera.from_fov(64, 48, 0.9)
    scene = SceneConfig(background="plain", shadows=False)
    with SimulatedRobot(arm, camera, look_at((1.4, -1, 0.9), (0, 0, 0.35)), scene) as simulated:
        q = sinusoid_motion(arm, np.arange(4) / 10)
        return RenderedVideo.record(simulated, q, rate_hz=10, truth=True)


def test_plays_there_and_back(video):
    shown = [video.index_at(k / 10 + 1e-6) for k in range(9)]
    assert shown == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert video.index_at(5.0, bounce=False) == 3
    assert video.index_at(-1.0) == 0


def test_keeps_images_and_truth(video, tmp_path):
    assert len(video) == 4
    assert (video.rgb[0] != video.rgb[3]).any()
    path = tmp_path / "video.npz"
    video.save(path)
    loaded = RenderedVideo.load(path)
    for a, b in zip(video, loaded, strict=True):
        assert (a.rgb == b.rgb).all()
        assert (a.mask == b.mask).all()
        assert (a.depth_m == b.depth_m).all()
        assert (a.q == b.q).all()
    assert (loaded.camera.K == video.camera.K).all()
    assert loaded.rate_hz == 10


def test_bad_file(tmp_path):
    path = tmp_path / "no.npz"
    path.write_text("hello")
    with pytest.raises(InputError, match="not a rendered video"):
        RenderedVideo.load(path)
