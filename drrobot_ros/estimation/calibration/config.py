"""Settings of a calibration, declared once for Python, the command line and ROS."""

import dataclasses

from drrobot_ros.configuration import setting, validate


@dataclasses.dataclass(frozen=True)
class CalibrationConfig:
    """What is looked for, and how far what is trusted."""

    estimate_camera: bool = setting(True, "look for the poses of the cameras")
    estimate_offsets: bool = setting(True, "look for a constant offset of every joint's readings")
    estimate_lag: bool = setting(
        False, "look for the time between the stamps of images and of joint states"
    )
    fine_width: int = setting(
        640, "image width of the finest level", unit="px", minimum=40, maximum=4096
    )
    iterations: int = setting(8, "solver iterations per round", minimum=1, maximum=100)
    rounds: int = setting(
        4,
        "most times that the images' evidence is gathered again at each level, around the estimate",
        minimum=1,
        maximum=50,
    )
    start_sigma_m: float = setting(
        0.1, "how wrong the given camera positions may be", unit="m", minimum=1e-3, maximum=5.0
    )
    start_sigma_rad: float = setting(
        0.1,
        "how wrong the given camera orientations may be",
        unit="rad",
        minimum=1e-3,
        maximum=3.2,
    )
    hypotheses: int = setting(
        600, "camera poses rendered per search of the start; 0: no search", minimum=0, maximum=10**6
    )
    offset_sigma: float = setting(
        0.05, "usual size of an offset", unit="rad or m", minimum=1e-5, maximum=10.0
    )
    max_offset: float = setting(
        0.2, "largest offset looked for", unit="rad or m", minimum=1e-4, maximum=3.2
    )
    encoder_sigma_rad: float = setting(
        0.0005,
        "noise of single readings, beside the offset; 0: none",
        unit="rad or m",
        minimum=0.0,
        maximum=0.2,
    )
    link_sigma_m: float = setting(
        0.003,
        "how far a link may lie beside where its mesh is drawn, in each image otherwise, where "
        "offsets are looked for; a third of it where they are not; 0: meshes are exact",
        unit="m",
        minimum=0.0,
        maximum=0.1,
    )
    lag_sigma_s: float = setting(
        0.1, "usual size of a lag, where it is looked for", unit="s", minimum=1e-4, maximum=10.0
    )
    use_mask: bool = setting(True, "believe masks where they are given")
    use_depth: bool = setting(True, "compare depth where it is given")
    mask_sigma: float = setting(
        0.25, "noise of the silhouette, in units of coverage", minimum=0.01, maximum=10.0
    )
    parts_sigma: float = setting(
        0.35,
        "noise of the labels of the robot's parts, in units of coverage; 0: silhouette only",
        minimum=0.0,
        maximum=10.0,
    )
    depth_sigma_m: float = setting(0.01, "noise of depth images", unit="m", minimum=1e-4)
    robust: float = setting(
        1.5, "residuals beyond this many sigmas count linearly", minimum=0.1, maximum=100.0
    )
    image_weight: float = setting(0.1, "independent pixels per pixel", minimum=1e-5, maximum=1.0)
    min_keyframes: int = setting(3, "fewer keyframes are refused", minimum=1, maximum=1000)

    @property
    def slide_sigma_m(self) -> float:
        """How far links may slide, m.

        Without offsets only the camera is free, in which their shifts cancel: what offsets need
        would let the camera of a few images slide (``benchmarks/photos.md``, held-out photos).
        """
        return self.link_sigma_m if self.estimate_offsets else self.link_sigma_m / 3

    def __post_init__(self) -> None:
        validate(self)
