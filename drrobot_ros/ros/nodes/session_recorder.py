"""The node ``session_recorder``: lets a simulated arm move as planned, and records the estimator.

It prints a line for every event, and ends when the plan has.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from drrobot_ros.demo.plan import READY
from drrobot_ros.errors import DrRobotError
from drrobot_ros.ros.recorder import ESTIMATOR, ROBOT, Recorder
from drrobot_ros.ros.session_actions import SessionActions

SERVICE_TIMEOUT_S = 10.0
CAMERA_TIMEOUT_S = 60.0


class SessionError(DrRobotError):
    """Something that was to happen did not happen in time."""


class Session:
    """Carries out a plan.

    Args:
        recorder: the node that records.
        steps: of :mod:`drrobot_ros.demo.plan`.
    """

    def __init__(self, recorder: Recorder, steps: list[dict[str, Any]]) -> None:
        self._recorder, self._steps = recorder, steps
        #: What the actions of the steps answered, by the steps' names.
        self.results: dict[str, dict[str, Any]] = {}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(recorder)
        self._trajectory = recorder.create_publisher(
            JointTrajectory, f"{ROBOT}/joint_trajectory", 10
        )
        self._reset = recorder.create_client(Trigger, f"{ESTIMATOR}/reset")
        self._parameters = AsyncParameterClient(recorder, ESTIMATOR)
        self._actions = SessionActions(recorder, self._until)

    def run(self) -> None:
        """Wait for the camera, then do the steps.

        Raises:
            SessionError: something did not happen in time.
        """
        self._until(lambda: self._recorder.truth, CAMERA_TIMEOUT_S, "no image was published")
        self._note(READY)
        for step in self._steps:
            getattr(self, f"_{step['do']}")(step)

    def _note(self, event: str) -> float:
        now = self._recorder.note(event)
        print(json.dumps({"event": event}), flush=True)
        return now

    def _until(self, condition: Callable[[], Any], timeout_s: float, complaint: str) -> Any:
        end = time.monotonic() + timeout_s
        while not (result := condition()):
            if time.monotonic() > end:
                raise SessionError(f"{complaint} in {timeout_s:.0f} s")
            self._executor.spin_once(timeout_sec=0.01)
        return result

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.05))

    def _wait_for_estimate(self, step: dict[str, Any]) -> None:
        complaint = "the estimator published no estimate"
        self._until(lambda: self._recorder.estimates, step["timeout_s"], complaint)
        self._note("first estimate")

    def _record(self, step: dict[str, Any]) -> None:
        if step["name"]:
            self._note(f"{step['name']} start")
        self._spin(step["seconds"])
        if step["name"]:
            self._note(f"{step['name']} end")

    def _move(self, step: dict[str, Any]) -> None:
        points = []
        rows = zip(step["times_s"], step["positions"], step["velocities"], strict=True)
        for time_s, positions, velocities in rows:
            whole = int(time_s)
            after = Duration(sec=whole, nanosec=round((time_s - whole) * 1e9))
            point = JointTrajectoryPoint(positions=positions, velocities=velocities)
            point.time_from_start = after
            points.append(point)
        names = list(self._recorder.joint_names)
        self._trajectory.publish(JointTrajectory(joint_names=names, points=points))
        self._record({"name": step["name"], "seconds": step["times_s"][-1]})

    def _restart(self, step: dict[str, Any]) -> None:
        value = Parameter("initial_joint_positions", value=step["initial"])
        answer = self._answer(self._parameters.set_parameters([value]), "parameters")
        if not answer.results[0].successful:
            raise SessionError(f"the estimator refused its start: {answer.results[0].reason}")
        answer = self._answer(self._reset.call_async(Trigger.Request()), "reset")
        if not answer.success:
            raise SessionError(f"the estimator was not reset: {answer.message}")
        self._note("restart")
        self._spin(step["seconds"])

    def _wait_for_node(self, step: dict[str, Any]) -> None:
        self._actions.wait(step["action"], step["timeout_s"])

    def _wait_for_tracking(self, step: dict[str, Any]) -> None:
        now_s = self._recorder.now_s()
        complaint = "the estimator does not track the arm"
        self._until(lambda: self._recorder.tracked_s > now_s, step["timeout_s"], complaint)

    def _optimize(self, step: dict[str, Any]) -> None:
        self._act(step, self._actions.optimize)

    def _servo(self, step: dict[str, Any]) -> None:
        self._act(step, self._actions.servo)

    def _act(self, step: dict[str, Any], act: Callable[[Path], dict[str, Any]]) -> None:
        self._note(f"{step['name']} start")
        self.results[step["name"]] = act(Path(step["picture"]))
        self._note(f"{step['name']} end")

    def _answer(self, future: Any, service: str) -> Any:
        self._until(future.done, SERVICE_TIMEOUT_S, f"the estimator's service {service} is silent")
        return future.result()


def main(arguments: list[str] | None = None) -> int:
    """Run the node."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path, help="JSON file: a list of steps")
    parser.add_argument("folder", type=Path, help="where the recording goes")
    parser.add_argument("--images", action="store_true", help="keep images and overlays")
    options, ros_arguments = parser.parse_known_args(arguments)
    rclpy.init(args=ros_arguments)
    recorder = Recorder(options.folder, images=options.images)
    try:
        session = Session(recorder, json.loads(options.plan.read_text()))
        session.run()
        if session.results:
            (options.folder / "results.json").write_text(json.dumps(session.results))
        recorder.recording().save(options.folder)
    except DrRobotError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        recorder.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
