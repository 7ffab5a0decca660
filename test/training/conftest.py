"""A small dataset of a small robot, rendered once."""

import pytest
from small_views import SMALL

from drrobot_ros.errors import BackendError
from drrobot_ros.training.dataset_render import render_dataset


@pytest.fixture(scope="session")
def arm(robot):
    return robot("six_axis_arm")


@pytest.fixture(scope="session")
def dataset(arm, tmp_path_factory):
    try:
        return render_dataset(arm, tmp_path_factory.mktemp("views"), SMALL, progress=False)
    except BackendError as error:
        pytest.skip(str(error))
