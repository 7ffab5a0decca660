"""Settings of a dataset that is rendered in a second."""

from drrobot_ros.training.dataset_config import DatasetConfig

SMALL = DatasetConfig(
    poses=6,
    views=2,
    canonical_views=4,
    validation_poses=1,
    test_poses=2,
    width=64,
    height=64,
    surface_points=1000,
)
