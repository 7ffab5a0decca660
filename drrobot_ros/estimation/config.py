"""Settings of the tracker, declared once for Python, the command line and ROS."""

import dataclasses

from drrobot_ros.configuration import setting, validate
from drrobot_ros.estimation.device.choice import DEVICES


@dataclasses.dataclass(frozen=True)
class TrackerConfig:
    """What the tracker estimates, at which resolution, and how far it trusts what."""

    estimate_joints: bool = setting(True, "estimate joint positions")
    estimate_camera: bool = setting(False, "estimate the camera pose as well")
    device: str = setting(
        "cpu",
        "where images are rendered and compared: cpu: C++; cuda: torch and gsplat; auto: cuda "
        "where there is a GPU, else cpu; torch: what cuda runs, on the CPU, slowly, to check it",
        choices=DEVICES,
        read_only=True,
    )
    fine_width: int = setting(
        320, "image width of the finest pyramid level", unit="px", minimum=40, maximum=1280
    )
    iterations: int = setting(
        4, "solver iterations per pyramid level while tracking", minimum=1, maximum=100
    )
    budget_ms: float = setting(
        60.0, "time one image may take while tracking; 0: no limit", unit="ms", minimum=0.0
    )
    use_mask: bool = setting(
        True, "use a given mask; without one the robot is segmented by its colours"
    )
    learn_background: bool = setting(
        True, "learn the background behind the moving robot (the camera must stand still)"
    )
    color_residual: str = setting(
        "auto",
        "parts: compare where differently coloured parts of the robot lie, in any light; "
        "shaded: compare colours under a light fitted to the image; auto: parts, or shaded where "
        "the robot has one colour; photometric: compare colours, with a gain and a bias per "
        "channel; off: silhouette only",
        choices=("auto", "parts", "shaded", "photometric", "off"),
        read_only=True,
    )
    mesh_outline: bool = setting(
        True,
        "compare the outline of the robot's meshes, where it has some, in place of the one its "
        "splats draw; trained splats keep theirs",
    )
    steady_light: bool = setting(
        True, "bring images to the light of the first one, and smooth noisy ones"
    )
    ignore_occluders: bool = setting(
        True, "ignore what is neither robot nor known background: things before it, people"
    )
    use_depth: bool = setting(True, "compare depth where a depth image is given")
    mask_sigma: float = setting(
        0.25, "noise of the silhouette, in units of coverage", minimum=0.01, maximum=10.0
    )
    parts_sigma: float = setting(
        0.35, "noise of the part labels, in units of coverage", minimum=0.01, maximum=10.0
    )
    color_sigma: float = setting(
        0.15, "noise of a colour channel (photometric)", minimum=0.005, maximum=10.0
    )
    shade_sigma: float = setting(
        6.0,
        "noise of a shaded colour, in units of what the fitted light leaves over",
        minimum=0.1,
        maximum=100.0,
    )
    depth_sigma_m: float = setting(0.01, "noise of the depth image", unit="m", minimum=1e-4)
    robust: float = setting(
        1.5, "residuals beyond this many sigmas count linearly", minimum=0.1, maximum=100.0
    )
    image_weight: float = setting(
        0.1,
        "independent pixels per pixel: neighbours err together, so the image counts less",
        minimum=1e-5,
        maximum=1.0,
    )
    encoder_sigma_rad: float = setting(
        0.0,
        "noise of the given joint positions; 0: they only give the start",
        unit="rad or m",
        minimum=0.0,
        maximum=10.0,
    )
    encoder_offset_sigma_rad: float = setting(
        0.0,
        "usual constant error of a joint's readings, estimated while tracking; 0: none",
        unit="rad or m",
        minimum=0.0,
        maximum=1.0,
    )
    encoder_lag_sigma_s: float = setting(
        0.0,
        "how late joint positions usually are against images, estimated while the arm moves; 0: "
        "not at all",
        unit="s",
        minimum=0.0,
        maximum=1.0,
    )
    remember_camera: bool = setting(
        True, "gather an estimated camera's pose over images: it stands still where it is mounted"
    )
    camera_sigma_m: float = setting(
        0.05,
        "how well the given camera position is known, where it is estimated; 0: not used",
        unit="m",
        minimum=0.0,
    )
    camera_sigma_rad: float = setting(
        0.05,
        "how well the given camera orientation is known, where it is estimated; 0: not used",
        unit="rad",
        minimum=0.0,
    )
    acceleration_sigma: float = setting(
        15.0,
        "joint acceleration expected between images: how far the motion prediction is trusted",
        unit="rad/s^2 or m/s^2",
        minimum=0.01,
        maximum=1e4,
    )
    start_sigma_rad: float = setting(
        0.2,
        "how wrong the start may be: the first image is searched that far, and what it hardly "
        "shows stays that near",
        unit="rad or m",
        minimum=0.0,
        maximum=3.2,
    )
    search_hypotheses: int = setting(
        1000, "hypotheses rendered when searching", minimum=0, maximum=1000000
    )
    uncertain_agreement: float = setting(
        0.66,
        "below this agreement of silhouette and image the estimate is uncertain",
        minimum=0.0,
        maximum=1.0,
    )
    uncertain_outline: float = setting(
        0.95,
        "below this share of the robot's outline that lies on edges of the image the estimate is "
        "uncertain; 0: not looked at",
        minimum=0.0,
        maximum=1.0,
    )
    uncertain_depth: float = setting(
        0.75,
        "below this share of the robot's pixels at whose depth something is seen the estimate is "
        "uncertain",
        minimum=0.0,
        maximum=1.0,
    )
    uncertain_margin: float = setting(
        -0.05,
        "below this lead over neighbouring poses (a joint turned by ten degrees or more), relative "
        "to the estimate's own score, the estimate is uncertain; -1: neighbours are not looked at",
        minimum=-1.0,
        maximum=1.0,
    )
    lost_agreement: float = setting(
        0.6, "below this agreement the robot is lost", minimum=0.0, maximum=1.0
    )
    lost_outline: float = setting(
        0.8,
        "below this share of the outline on edges the robot is lost; 0: not looked at",
        minimum=0.0,
        maximum=1.0,
    )
    lost_after: int = setting(
        10,
        "images in a row below these limits after which the robot is lost, or searched again",
        minimum=1,
    )

    recovery: str = setting(
        "near",
        "how a lost robot is looked for beside tracking, in a thread of its own: off; near: around "
        "the last estimate; anywhere: then in the whole joint range too",
        choices=("off", "near", "anywhere"),
    )
    recovery_sigma_rad: float = setting(
        0.35,
        "how far from the last estimate a lost robot is looked for at first, per joint",
        unit="rad or m",
        minimum=0.01,
        maximum=3.2,
    )
    recovery_confirm: int = setting(
        5, "images in a row that have to agree with a robot found again", minimum=1, maximum=1000
    )

    def __post_init__(self) -> None:
        validate(self)
