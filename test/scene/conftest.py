"""A small table and its reconstruction."""

import pytest
from scene_tables import QUICK, table

from drrobot_ros.scene import reconstruct


@pytest.fixture(scope="session")
def small_table():
    return table()


@pytest.fixture(scope="session")
def small_scene(small_table):
    stages = {}
    scene = reconstruct(small_table[0], QUICK, lambda name, part, drawn: stages.update(drawn))
    return scene, stages
