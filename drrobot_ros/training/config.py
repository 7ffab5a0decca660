"""How a self-model is trained, and named choices of that."""

import dataclasses

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import unknown_name
from drrobot_ros.training.losses import LossConfig

SKINNINGS = ("rigid", "implicit")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Size and parts of the model, and how long it is trained.

    Rates are per step for Adam: of centres in spacings between Gaussians, of scales in logarithms,
    of everything else in its own unit; all fall exponentially to `final_rate` of the first.
    """

    count: int = setting(10000, "Gaussians to start with", minimum=10, maximum=2000000)
    growth: float = setting(
        0.15, "Gaussians added where gradients are largest, of `count`", minimum=0.0, maximum=10.0
    )
    steps: int = setting(1500, "views to learn from, one a step", minimum=1, maximum=10000000)
    skinning: str = setting(
        "rigid",
        "each Gaussian on the link it was sampled on, or weights learned from point clouds",
        choices=SKINNINGS,
    )
    deformation: bool = setting(False, "Gaussians change with the joint positions")
    light: bool = setting(True, "the light turns with the base, not with the links")
    sh: bool = setting(True, "colours depend on the direction of view, to degree 2")
    canonical_share: float = setting(
        0.05, "of the steps that only see the neutral pose", minimum=0.0, maximum=1.0
    )
    deformation_from: float = setting(
        0.3, "share of the steps before the deformation starts", minimum=0.0, maximum=1.0
    )
    half_share: float = setting(
        0.3, "of the steps that see the image at half its size", minimum=0.0, maximum=1.0
    )
    density_every: int = setting(100, "steps between adding and removing Gaussians", minimum=1)
    density_until: float = setting(
        0.5, "share of the steps after which their number stays", minimum=0.0, maximum=1.0
    )
    min_opacity: float = setting(0.02, "fainter Gaussians are removed", minimum=0.0, maximum=0.9)
    rate: float = setting(1.0, "factor on all rates", minimum=0.001, maximum=100.0)
    rate_means: float = setting(0.06, "of the centres, in spacings", minimum=0.0)
    rate_quats: float = setting(0.006, "of the rotations", minimum=0.0)
    rate_scales: float = setting(0.016, "of the logarithms of the sizes", minimum=0.0)
    rate_opacities: float = setting(0.06, "of the opacities' logits", minimum=0.0)
    rate_colors: float = setting(0.01, "of the colours", minimum=0.0)
    rate_sh: float = setting(0.004, "of the harmonics", minimum=0.0)
    rate_normals: float = setting(0.02, "of the normals", minimum=0.0)
    rate_light: float = setting(0.02, "of the light", minimum=0.0)
    rate_networks: float = setting(0.0005, "of skinning and deformation", minimum=0.0)
    final_rate: float = setting(0.03, "of the rates at the last step", minimum=1e-6, maximum=1.0)
    validate_every: int = setting(250, "steps between looks at unseen poses", minimum=1)
    checkpoint_every: int = setting(500, "steps between checkpoints", minimum=1)
    seed: int = setting(0, "of everything random", minimum=0)

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class Preset:
    """A named way to train: settings, losses and the dataset that goes with them."""

    train: TrainConfig
    loss: LossConfig
    dataset: str


PRESETS: dict[str, Preset] = {
    "default": Preset(TrainConfig(), LossConfig(), "default"),
    "quick": Preset(
        TrainConfig(count=2000, steps=200, validate_every=100, checkpoint_every=100),
        LossConfig(),
        "quick",
    ),
    "paper": Preset(
        TrainConfig(
            steps=17000,
            growth=1.0,
            skinning="implicit",
            deformation=True,
            light=False,
            canonical_share=2 / 17,
            validate_every=1000,
            checkpoint_every=2000,
        ),
        LossConfig(l1=0.8, l2=0.0, ssim=0.4, mask=0.0),
        "paper",
    ),
    "full": Preset(
        TrainConfig(
            count=40000,
            steps=15000,
            growth=0.5,
            deformation=True,
            validate_every=1000,
            checkpoint_every=2000,
        ),
        LossConfig(ssim=0.2),
        "paper",
    ),
}


def preset(name: str) -> Preset:
    """Return a named way to train.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]
