"""Cameras, transforms, covariances."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Time
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.ros import conversions as c


def info(**changes) -> CameraInfo:
    out = CameraInfo(width=640, height=480)
    out.k = [500.0, 0, 319.5, 0, 510.0, 239.5, 0, 0, 1]
    out.p = [400.0, 0, 300.0, 0, 0, 410.0, 200.0, 0, 0, 0, 1, 0]
    for name, value in changes.items():
        setattr(out, name, value)
    return out


def project(K, point):
    u = K @ point
    return u[:2] / u[2]


def test_p_for_rectified_images_and_k_for_raw_ones():
    camera = c.camera_from_info(info())
    # ROS counts from pixel centres, we from the corner of the first pixel.
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (400, 410, 300.5, 200.5)
    raw = c.camera_from_info(info(), rectified=False)
    assert (raw.fx, raw.fy, raw.cx, raw.cy) == (500, 510, 320, 240)
    assert (raw.width, raw.height) == (640, 480)
    no_p = c.camera_from_info(info(p=[0.0] * 12))
    assert no_p.fx == 500


def test_binning_and_region_of_interest():
    roi = RegionOfInterest(x_offset=100, y_offset=60, width=320, height=200)
    camera = c.camera_from_info(info(roi=roi, binning_x=2, binning_y=4))
    assert (camera.width, camera.height) == (160, 50)
    full = c.camera_from_info(info())
    point = np.array([0.1, -0.2, 1.5])
    expected = (project(full.K, point) - [100, 60]) / [2, 4]
    np.testing.assert_allclose(project(camera.K, point), expected)


def test_uncalibrated():
    with pytest.raises(InputError, match=r"not calibrated: K has fx = 0.0.*frame 'cam'"):
        c.camera_from_info(info(k=[0.0] * 9, header=Header(frame_id="cam")))
    with pytest.raises(InputError, match="width"):
        c.camera_from_info(info(width=0))
    with pytest.raises(InputError, match="finite"):
        c.camera_from_info(info(p=[float("nan")] * 12))


def test_camera_round_trip():
    camera = PinholeCamera.from_fov(320, 240, 0.8)
    message = c.info_from_camera(camera, Header(frame_id="optical"))
    assert message.k[2] == 159.5  # the middle of 320 pixels, counted from pixel centres
    assert not c.is_distorted(message)
    assert c.is_distorted(info(d=[0.1, 0, 0, 0, 0]))
    back = c.camera_from_info(message)
    np.testing.assert_allclose(back.K, camera.K)
    assert (back.width, back.height) == (320, 240)


def test_stamps():
    stamp = Time(sec=1795251492, nanosec=123456789)
    assert c.stamp_to_ns(stamp) == 1795251492123456789
    assert c.ns_to_stamp(1795251492123456789) == stamp
    assert c.stamp_to_s(Time(sec=2, nanosec=500000000)) == 2.5


def test_quaternions_are_xyzw():
    R = c.matrix_from_quaternion([0, 0, np.sin(0.3), np.cos(0.3)])
    np.testing.assert_allclose(R, Rotation.from_euler("z", 0.6).as_matrix(), atol=1e-12)
    for rotation in [*Rotation.random(50, random_state=0), Rotation.from_euler("x", np.pi)]:
        R = rotation.as_matrix()
        q = c.quaternion_from_matrix(R)
        assert q[3] >= 0
        np.testing.assert_allclose(abs(q @ rotation.as_quat()), 1.0, atol=1e-12)
        np.testing.assert_allclose(c.matrix_from_quaternion(2 * q), R, atol=1e-12)
    with pytest.raises(InputError, match="quaternion"):
        c.matrix_from_quaternion([0, 0, 0, 0])


def test_transform_and_pose_round_trip():
    T = np.eye(4)
    T[:3, :3] = Rotation.random(random_state=1).as_matrix()
    T[:3, 3] = 1.0, -2.0, 3.0
    np.testing.assert_allclose(c.matrix_from_transform(c.transform_from_matrix(T)), T, atol=1e-12)
    np.testing.assert_allclose(c.matrix_from_pose(c.pose_from_matrix(T)), T, atol=1e-12)
    assert c.transform_from_matrix(T).translation.y == -2.0


def test_pose_numbers():
    rotation = Rotation.from_euler("xyz", [0.1, 0.2, 0.3])  # fixed axes, REP 103
    for numbers in ([1, 2, 3, 0.1, 0.2, 0.3], [1, 2, 3, *rotation.as_quat()]):
        T = c.matrix_from_numbers(numbers)
        np.testing.assert_allclose(T[:3, :3], rotation.as_matrix(), atol=1e-12)
        np.testing.assert_allclose(T[:3, 3], [1, 2, 3])
    with pytest.raises(InputError, match="7 numbers"):
        c.matrix_from_numbers([1, 2, 3])


def test_pose_covariance_is_along_the_base_axes():
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", np.pi / 2).as_matrix()  # camera x is base y
    covariance = np.diag([1.0, 2, 3, 4, 5, 6])
    covariance[0, 4] = covariance[4, 0] = 0.5
    out = np.array(c.pose_covariance(covariance, T)).reshape(6, 6)
    np.testing.assert_allclose(np.diag(out), [2, 1, 3, 5, 4, 6], atol=1e-12)
    # camera x with camera rotation about y: base y with base rotation about -x.
    assert out[1, 3] == pytest.approx(-0.5)
    np.testing.assert_array_equal(out, out.T)
