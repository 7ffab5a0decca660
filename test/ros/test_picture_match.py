"""The camera's picture compared with the goal's: of other sizes, raw, or not at all."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

import rclpy
from arm_world import URDF
from drawn_arm import CLOSE, drawn, speckled
from fake_arm import CAMERA, HOME
from std_msgs.msg import Header

from drrobot_ros.geometry.lens import Lens
from drrobot_ros.geometry.raw_view import RawView
from drrobot_ros.robot import RobotModel
from drrobot_ros.ros.camera_pictures import CameraPictures
from drrobot_ros.ros.camera_reader import CameraReader
from drrobot_ros.ros.conversions import info_from_camera, ns_to_stamp
from drrobot_ros.ros.images import rgb_to_image
from drrobot_ros.ros.picture_match import PictureMatch
from drrobot_ros.ros.settings import CameraSettings

HEADER = Header(stamp=ns_to_stamp(5_000_000_000), frame_id="camera")
SHOWN = HOME + np.array([0.3, -0.2, 0.2, 0.2, -0.2, 0.0])
OFF = np.deg2rad([1.0, -0.5, 1.0, 0.0, 0.0, 0.0])
EYE = CAMERA.resized(320, 240)
LENS = Lens(EYE, (-0.5, 0.2, 0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def arm() -> Any:
    model = RobotModel.load(URDF)
    return model, speckled(model)


def shot(arm: Any, q: np.ndarray, camera: Any) -> np.ndarray:
    model, splats = arm
    return drawn(model, splats, q, camera)


class Servo:
    """Keeps what it was told."""

    wants_match = True

    def __init__(self) -> None:
        self.told: list = []
        self.alone = False

    def match(self, *given) -> None:
        self.told.append(given)

    def unmatched(self) -> None:
        self.alone, self.wants_match = True, False


def serve(
    arm: Any,
    image: Any,
    *,
    info: Any = None,
    size=(320, 240),
    rectified=True,
    encoders=HOME,
    rests=True,
) -> Any:
    """Return (match, servo) after an image came, or None did."""
    model, splats = arm
    goal = shot(arm, SHOWN, CAMERA.resized(*size))
    pictures: Any = SimpleNamespace(near=lambda *_: image, received=0, topic="/image")
    diagnostics: Any = SimpleNamespace(fault=print, good=print)
    joints: Any = SimpleNamespace(at=lambda _: np.array(encoders))
    clock: Any = SimpleNamespace(from_ros_s=lambda s: s)
    motion: Any = SimpleNamespace(is_at_rest=lambda _: rests)
    servo: Any = Servo()
    match = PictureMatch(
        model,
        splats,
        goal,
        CLOSE,
        reader=CameraReader("", CameraSettings, diagnostics, rectified=rectified),
        pictures=pictures,
        joints=joints,
        observed=np.array([True] * 5 + [False]),
        clock=clock,
        patience_s=0.0,
    )
    match.seen = 5.0, SHOWN
    match.serve(servo, motion, info or info_from_camera(EYE, HEADER))
    return match, servo


@pytest.mark.parametrize("size", [(320, 240), (480, 360), (256, 192)])
def test_of_whatever_size(arm: Any, size) -> None:
    image = rgb_to_image(shot(arm, SHOWN - OFF, EYE), HEADER)
    match, servo = serve(arm, image, size=size)
    ((stamp_s, turn, sigma, encoders),) = servo.told
    assert stamp_s == 5.0 and match.compared == 1
    assert np.isnan(encoders[5]) and np.array_equal(encoders[:5], HOME[:5])
    np.testing.assert_allclose(turn[:3], OFF[:3], atol=np.deg2rad(0.3))
    assert sigma[:3].max() < np.deg2rad(0.2)


def test_raw_images_are_rectified(arm: Any) -> None:
    view = RawView(LENS)
    raw = rgb_to_image(view.raw(shot(arm, SHOWN - OFF, view.camera)), HEADER)
    info = info_from_camera(EYE, HEADER)
    info.d = list(LENS.distortion)
    _, servo = serve(arm, raw, info=info, rectified=False)
    np.testing.assert_allclose(servo.told[0][1][:3], OFF[:3], atol=np.deg2rad(0.3))
    # Taken for rectified ones they say something else.
    _, servo = serve(arm, raw, info=info)
    assert not servo.told or np.abs(servo.told[0][1][:3] - OFF[:3]).max() > np.deg2rad(0.6)


def test_why_not(arm: Any) -> None:
    image = rgb_to_image(shot(arm, SHOWN, EYE), HEADER)
    unknown = np.full(6, np.nan)
    other = info_from_camera(CAMERA, HEADER)
    empty = rgb_to_image(np.full((240, 320, 3), 90, np.uint8), HEADER)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"image": None}, "no image came on /image"),
        ({"image": image, "encoders": unknown}, "no joint states"),
        ({"image": image, "info": other}, "image is 320x240, but camera_info says 96x72"),
        ({"image": empty}, "too little of the robot"),
    ]
    for given, words in cases:
        match, servo = serve(arm, **given)
        assert servo.alone and not servo.told and words in match.why, match.why


def test_an_arm_in_motion_is_waited_for(arm: Any) -> None:
    match, servo = serve(arm, None, rests=False)
    assert not servo.alone and not match.why


def test_pictures_are_heard_while_open(ros) -> None:
    node = rclpy.create_node("eyes")
    try:
        pictures = CameraPictures(node)
        for _ in range(2):
            assert node.count_subscribers("image") == 0
            pictures.open()
            assert node.count_subscribers("image") == 1
            pictures.close()
    finally:
        node.destroy_node()
