"""Which topics of a bag are the camera's and the robot's."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
JOINT_STATE = "sensor_msgs/msg/JointState"
STRING = "std_msgs/msg/String"
TF = "tf2_msgs/msg/TFMessage"

NEVER_COLOR = ("depth", "mask", "infra", "overlay", "confidence", "alpha")


@dataclasses.dataclass(frozen=True)
class TopicFlags:
    """Topics of a bag; empty ones are found by type and name."""

    image_topic: str = setting("", "images, raw or compressed; empty: the only colour images")
    camera_info_topic: str = setting("", "empty: the one beside the images")
    joint_topic: str = setting("", "joint states; empty: the only ones")
    depth_topic: str = setting(
        "", "depth registered to the images; empty: the one of their size; 'none': not used"
    )
    mask_topic: str = setting("", "masks of the robot; empty: a topic so called")

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class Topics:
    """The topics chosen; "" where there is none."""

    image: str
    camera_info: str
    joints: str
    depth: str = ""
    mask: str = ""
    description: str = ""
    tf_static: str = ""


def choose_topics(
    kinds: Mapping[str, str],
    flags: TopicFlags,
    encoding: Callable[[str], str],
    where: str,
    *,
    need_info: bool = True,
) -> Topics:
    """Return the topics to read.

    Args:
        kinds: message type by topic.
        flags: what was asked for.
        encoding: returns the encoding of the first image on a topic.
        where: the bag's name, for messages.
        need_info: whether intrinsics must be in the bag.

    Raises:
        InputError: a topic is missing or not sure; the message lists the topics there are.
    """
    pictures = [t for t, k in kinds.items() if k in (IMAGE, COMPRESSED)]

    def of_type(*wanted: str) -> list[str]:
        return [t for t, k in kinds.items() if k in wanted]

    def asked(name: str, what: str, *wanted: str) -> str:
        if name not in kinds or kinds[name] not in wanted:
            raise InputError(_missing(f"{what} on {name}", where, kinds, wanted))
        return name

    depths = [t for t in pictures if "depth" in t.lower() or _is_depth(encoding(t))]
    if flags.image_topic:
        image = asked(flags.image_topic, "images", IMAGE, COMPRESSED)
    else:
        colors = [
            t
            for t in pictures
            if t not in depths and not any(word in t.lower() for word in NEVER_COLOR)
        ]
        image = _only(_best_images(colors), "colour images", "--image-topic", where, kinds)
    if flags.camera_info_topic:
        info = asked(flags.camera_info_topic, "camera_info", CAMERA_INFO)
    elif need_info:
        infos = of_type(CAMERA_INFO)
        beside = [t for t in infos if _folder(t) == _folder(_base(image))]
        info = _only(beside or infos, "camera_info", "--camera-info-topic", where, kinds)
    else:
        info = ""
    if flags.joint_topic:
        joints = asked(flags.joint_topic, "joint states", JOINT_STATE)
    else:
        joints = _only(of_type(JOINT_STATE), "joint states", "--joint-topic", where, kinds)
    if flags.depth_topic == "none":
        depth = ""
    elif flags.depth_topic:
        depth = asked(flags.depth_topic, "depth images", IMAGE, COMPRESSED)
    else:
        aligned = [t for t in depths if "aligned" in t or "registered" in t]
        beside = [t for t in depths if _folder(t) == _folder(_base(image))]
        depth = next(iter(_best_images(aligned or beside or depths)), "")
    if flags.mask_topic:
        mask = asked(flags.mask_topic, "masks", IMAGE, COMPRESSED)
    else:
        mask = next((t for t in pictures if t.rstrip("/").split("/")[-1] == "mask"), "")
    descriptions = [t for t in of_type(STRING) if t.endswith("robot_description")]
    static = next((t for t in of_type(TF) if t.endswith("tf_static")), "")
    return Topics(image, info, joints, depth, mask, next(iter(descriptions), ""), static)


def _is_depth(encoding: str) -> bool:
    return encoding in ("16UC1", "32FC1", "mono16")


def _base(topic: str) -> str:
    """Return the topic without what image_transport puts after it."""
    for ending in ("/compressedDepth", "/compressed"):
        topic = topic.removesuffix(ending)
    return topic


def _folder(topic: str) -> str:
    return topic.rsplit("/", 1)[0]


def _best_images(topics: Sequence[str]) -> list[str]:
    """Return topics, one of those that carry the same images: the raw rather than compressed."""
    best: dict[str, str] = {}
    for topic in sorted(topics, key=len):
        best.setdefault(_base(topic), topic)
    return list(best.values())


def _only(topics: Sequence[str], what: str, flag: str, where: str, kinds: Mapping[str, str]) -> str:
    if len(topics) > 1:
        raise InputError(
            f"{where} has several topics of {what}: {', '.join(sorted(topics))}; say which: {flag}"
        )
    if not topics:
        raise InputError(_missing(what, where, kinds))
    return topics[0]


def _missing(what: str, where: str, kinds: Mapping[str, str], wanted: Sequence[str] = ()) -> str:
    listing = ", ".join(f"{t} ({k.split('/')[-1]})" for t, k in sorted(kinds.items()))
    types = f" of type {' or '.join(w.split('/')[-1] for w in wanted)}" if wanted else ""
    return f"no {what}{types} in {where}; it has: {listing or 'no topics'}"
