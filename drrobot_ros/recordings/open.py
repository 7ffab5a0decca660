"""Opening a recording, whatever it is."""

from pathlib import Path

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.recordings.bag import is_bag, read_bag
from drrobot_ros.recordings.camera_info import read_camera_info
from drrobot_ros.recordings.folder import read_folder
from drrobot_ros.recordings.recording import Recording
from drrobot_ros.recordings.topics import TopicFlags


def open_recording(
    path: str | Path,
    *,
    topics: TopicFlags | None = None,
    lens: Lens | None = None,
    camera_info: str | Path = "",
    joints_file: str | Path = "",
    joint_names: tuple[str, ...] = (),
    rectified: bool | None = None,
) -> Recording:
    """Return the recording in a folder of files, a rosbag2 or an MCAP file.

    Args:
        path: of the folder or file.
        topics: of a bag, where they are not to be found by type and name.
        lens: known intrinsics, instead of a calibration file or camera_info.
        camera_info: calibration file; "": the folder's own, or the bag's camera_info.
        joints_file: of a folder; "": looked for.
        joint_names: of the model, for readings without names.
        rectified: whether images are; None: in a bag if their topic is called so, in a folder not.

    Raises:
        InputError: it cannot be read, or lacks something; the message says what there is.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    if is_bag(path):
        if lens is None and camera_info:
            lens = read_camera_info(camera_info, rectified=bool(rectified))
        return read_bag(path, topics, lens=lens, rectified=rectified)
    if path.is_dir():
        return read_folder(
            path,
            camera_info=camera_info,
            joints_file=joints_file,
            joint_names=joint_names,
            rectified=bool(rectified),
            lens=lens,
        )
    raise InputError(
        f"cannot tell what {path} is; valid: a folder of images, a rosbag2 (folder or .db3), .mcap"
    )
