"""Messages of the action Calibrate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from drrobot_msgs.action import Calibrate
from drrobot_msgs.msg import CalibratedCamera, KeyframeResidual
from drrobot_ros.ros import tf
from drrobot_ros.ros.calibration_run import Finished, News
from drrobot_ros.ros.conversions import ns_to_stamp, pose_covariance
from drrobot_ros.ros.joints import JointNames

STAGES = {
    "collecting": Calibrate.Feedback.COLLECTING,
    "solving": Calibrate.Feedback.SOLVING,
    "writing": Calibrate.Feedback.WRITING,
}
JPEG_QUALITY = 80


def feedback_of(
    news: News, elapsed_s: float, wanted: int, keys: Sequence[tuple[float, str]], width: int
) -> Any:
    """Return the feedback that tells news.

    Args:
        news: what there is to tell.
        elapsed_s: since the goal was accepted.
        wanted: keyframes wanted.
        keys: stamp and camera of every image that a residual belongs to.
        width: of the picture; 0: none.
    """
    message = Calibrate.Feedback(stage=STAGES[news.stage], text=news.text, elapsed_s=elapsed_s)
    message.keyframes, message.keyframes_wanted = news.keyframes, wanted
    message.images_refused, message.refusal = news.refused, news.refusal
    message.residuals = [
        KeyframeResidual(
            stamp=ns_to_stamp(round(stamp_s * 1e9)),
            camera=camera,
            residual=residual,
            weight=float("nan"),
        )
        for (stamp_s, camera), residual in zip(keys, news.residuals, strict=False)
    ]
    if width > 0 and news.picture is not None:
        message.camera = news.camera
        message.preview = compressed(news.picture(), width)
    return message


def compressed(rgb: NDArray[np.uint8], width: int) -> CompressedImage:
    """Return a picture [H, W, 3] as JPEG, at most so wide."""
    import cv2

    scale = min(1.0, width / rgb.shape[1])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    bgr = np.ascontiguousarray(np.asarray(small)[:, :, ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    message = CompressedImage(format="jpeg")
    message.data.frombytes(data.tobytes())
    return message


def result_of(
    finished: Finished,
    header: Header,
    frames: Mapping[str, tuple[str, str]],
    names: JointNames,
) -> Any:
    """Return the result of a calibration that was solved.

    Args:
        finished: how it ended.
        header: whose stamp the transforms carry.
        frames: parent and optical frame of each camera.
        names: the robot's joints.
    """
    found = finished.result
    verdict = found.verdict.value
    message = Calibrate.Result(verdict=verdict, message=finished.message)
    message.success = verdict != "failed"
    message.cameras = [_camera(n, c, frames[n], header) for n, c in found.cameras.items()]
    by_plain = {name.removeprefix(names.prefix): name for name in names.index}
    full = [by_plain[name] for name in found.joint_names]
    columns = [names.v_index[name] for name in full]
    message.joint_names = full
    message.offsets = np.asarray(found.offsets, np.float64)[columns].tolist()
    message.offsets_stddev = np.asarray(found.offset_std, np.float64)[columns].tolist()
    message.unobservable = [str(words) for words in found.unobservable]
    message.keyframes = [
        KeyframeResidual(
            stamp=ns_to_stamp(round(k.stamp_s * 1e9)),
            camera=k.camera,
            residual=float(k.residual),
            weight=0.0 if k.rejected else float(k.weight),
            reason=k.reason,
        )
        for k in found.keyframes
    ]
    message.files = [str(path) for path in finished.files]
    return message


def _camera(name: str, camera: Any, frames: tuple[str, str], header: Header) -> CalibratedCamera:
    T = np.asarray(camera.T, np.float64)
    return CalibratedCamera(
        name=name,
        transform=tf.stamped(*frames, T, header),
        covariance=pose_covariance(np.asarray(camera.covariance), T),
        time_offset_s=float(camera.lag_s),
        time_offset_stddev_s=float(camera.lag_std_s),
    )
