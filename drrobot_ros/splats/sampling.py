"""Gaussians of a robot that was never trained, from its visual meshes alone."""

import dataclasses

import numpy as np

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.robot.model import RobotModel
from drrobot_ros.splats.cells import divide
from drrobot_ros.splats.edges import away_from_edges
from drrobot_ros.splats.moments import Moments
from drrobot_ros.splats.surface import SurfacePoints, TriangleSoup, sample_points
from drrobot_ros.splats.visibility import outward_points


@dataclasses.dataclass(frozen=True)
class SurfaceConfig:
    """How Gaussians are laid on a mesh; the defaults keep the outline true to a tenth of a px."""

    coverage: float = setting(
        0.95, "tangent scale over the radius of a disc of the cell's area", minimum=0.3, maximum=3.0
    )
    opacity: float = setting(0.999, "of a Gaussian on solid material", minimum=0.01, maximum=1.0)
    edge_band: float = setting(
        0.45, "sharp edges stay bare over this share of the spacing", minimum=0.0, maximum=2.0
    )
    inset: float = setting(
        0.05,
        "Gaussians lie under the surface by this share of the spacing",
        minimum=0.0,
        maximum=1.0,
    )
    points_per_gaussian: int = setting(
        24, "surface points sampled per Gaussian, before the inner ones go", minimum=4, maximum=200
    )
    normal_weight: float = setting(
        0.35, "spacings that two opposite unit normals count as half of", minimum=0.0, maximum=10.0
    )
    color_weight: float = setting(
        1.0, "spacings that a colour difference of 1 counts as", minimum=0.0, maximum=10.0
    )
    looks: int = setting(48, "directions from which the robot is seen", minimum=8, maximum=1000)

    def __post_init__(self) -> None:
        validate(self)


def sample_cells(model: RobotModel, count: int, seed: int, config: SurfaceConfig) -> Moments:
    """Return `count` cells of equal area on the outside of a robot.

    Raises:
        InputError: fewer Gaussians than links, or more than the surface can be cut into.
        ModelError: the robot has no visual meshes.
    """
    if isinstance(count, bool) or int(count) != count or count < 1:
        raise InputError(f"count must be a positive whole number, got {count!r}")
    soup = TriangleSoup.from_visuals(model.visuals)
    rng = np.random.default_rng(seed)
    dense = sample_points(soup, max(config.points_per_gaussian * count, 20000), rng)
    points = outward_points(model, soup, dense, rng, looks=config.looks)
    if not len(points):
        raise InputError("no part of the robot's surface can be seen from outside")
    spacing = float(np.sqrt(len(points) * points.area / count))
    points = points.select(away_from_edges(points, config.edge_band * spacing))
    single = _single_cells(points)
    features = single.features(spacing, config.normal_weight, config.color_weight)
    cell = divide(features, single.area, single.link, count)
    return single.merged(cell, count).inset(config.inset * spacing)


def _single_cells(points: SurfacePoints) -> Moments:
    n = len(points)
    return Moments(
        points.link,
        np.full(n, points.area),
        points.position,
        np.zeros((n, 3, 3)),
        points.normal,
        points.rgba,
    )
