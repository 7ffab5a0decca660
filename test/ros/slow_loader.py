"""A pose estimator whose robot takes half a minute to load, in one call that nothing interrupts."""

import dataclasses
import sys
import time

from fake_library import LIBRARY


def load_robot(*_):
    print("loading", flush=True)
    time.sleep(30.0)
    raise AssertionError("nobody waits so long")


if __name__ == "__main__":
    from drrobot_ros.ros.nodes.pose_estimator import PoseEstimator
    from drrobot_ros.ros.runner import run

    sys.exit(run(lambda: PoseEstimator(dataclasses.replace(LIBRARY, load_robot=load_robot))))
