"""Goals as a distorting camera shows them: pictures, masks, tracks and videos."""

import numpy as np
import pytest

pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from std_msgs.msg import Header

from drrobot_msgs.msg import ControlObjective
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.media import write_image
from drrobot_ros.robot import RobotModel
from drrobot_ros.ros.control_goals import read_objectives
from drrobot_ros.ros.images import mask_to_image, rgb_to_image
from drrobot_ros.ros.joints import JointNames

CAMERA = PinholeCamera.from_fov(160, 120, 1.2)
LENS = Lens(CAMERA, (-0.4, 0.15, 0.0, 0.0, 0.0))
LARGER = LENS.resized(320, 240)


@pytest.fixture(scope="module")
def model(robot) -> RobotModel:
    return robot("six_axis_arm")


@pytest.fixture
def raw() -> np.ndarray:
    y, x = np.mgrid[:240, :320]
    picture = np.stack([x * 0.7, y, (x + y) * 0.4], -1)
    picture[80:160:8] = 255
    return picture.astype(np.uint8)


def read(model, lens: Lens, **objective):
    names = JointNames.of(model)
    message = ControlObjective(weight=1.0, **objective)
    wanted = read_objectives([message], model, names, np.zeros(model.nq), lambda: (lens, np.eye(4)))
    return wanted.goals[0], wanted.views[wanted.goals[0].view]


def test_pictures_and_masks(model, raw) -> None:
    mask = (raw[..., 0] > 90).astype(np.float32)
    given = {"image": rgb_to_image(raw, Header()), "mask": mask_to_image(mask, Header())}
    goal, view = read(model, LENS, kind="picture", **given)
    assert (view.camera.width, view.camera.height) == (320, 240)
    np.testing.assert_array_equal(goal.rgb, LARGER.rectify(raw))
    np.testing.assert_array_equal(goal.mask, LARGER.rectify_plane(mask > 0.5))
    assert np.abs(goal.rgb.astype(int) - raw).mean() > 3
    goal, _ = read(model, Lens(CAMERA), kind="picture", **given)
    np.testing.assert_array_equal(goal.rgb, raw)


def test_tracks(model, tmp_path) -> None:
    tracks = np.random.default_rng(0).uniform(20, 220, (3, 5, 2))
    tracks[1, 2] = np.nan
    TrackSet(tracks, (320, 240)).save(tmp_path / "tracks.npz")
    goal, _ = read(model, LENS, kind="tracks", file=str(tmp_path / "tracks.npz"))
    for seen, given in zip(goal.tracks.tracks, tracks, strict=True):
        np.testing.assert_allclose(seen, LARGER.rectify_points(given), atol=1e-4)
    assert np.isnan(goal.tracks.tracks[1, 2]).all()
    assert np.nanmax(np.abs(goal.tracks.tracks - tracks)) > 3


def test_videos(model, raw, tmp_path) -> None:
    for k in range(2):
        write_image(tmp_path / f"{k}.png", raw[:, :: (-1) ** k])
    goal, _ = read(model, LENS, kind="video", file=str(tmp_path))
    np.testing.assert_array_equal(
        goal.images[1], LARGER.rectify(np.ascontiguousarray(raw[:, ::-1]))
    )
