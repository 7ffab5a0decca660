"""The node ``calibrator``: where the cameras are and what the encoders are off by, as an action."""

import dataclasses
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from drrobot_msgs.action import Calibrate
from drrobot_ros.errors import DrRobotError, InputError, unknown_name
from drrobot_ros.ros import calibrate_messages as messages
from drrobot_ros.ros import qos, tf
from drrobot_ros.ros.calibration_intake import CalibrationIntake
from drrobot_ros.ros.calibration_run import CalibrationRun, Finished, News, Request, moment_keys
from drrobot_ros.ros.camera_inputs import CameraInputs
from drrobot_ros.ros.camera_start import parent_frame
from drrobot_ros.ros.diagnostics import OK, WARN, Diagnostics
from drrobot_ros.ros.goal_server import GoalServer
from drrobot_ros.ros.joint_input import JointInput
from drrobot_ros.ros.latest import LatestWorker
from drrobot_ros.ros.library import CalibrationLibrary, calibration_library
from drrobot_ros.ros.new_folder import new_folder
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.robot_source import RobotSource
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.settings import CalibratorSettings
from drrobot_ros.ros.synchronizer import Frame
from drrobot_ros.ros.timers import steady_timer

WATCH_PERIOD_S = 0.1
#: How fast the arm may be in the images of which a time offset is looked for, rad/s or m/s.
LAG_SPEED = 1.0


@dataclasses.dataclass
class _Active:
    """The goal that is being worked on.

    Attributes:
        run: the calibration.
        intake: what it is fed through.
        wanted: keyframes.
        ended: what came of it; set once, by the worker.
        cancelled: nobody wants it any more.
    """

    run: CalibrationRun
    intake: CalibrationIntake
    wanted: int
    ended: Finished | Exception | None = None
    cancelled: bool = False


class _Robot(NamedTuple):
    """What was loaded; source: file, name, or description."""

    model: Any
    gaussians: Any
    joints: JointInput
    source: str


class Calibrator(Node):
    """Calibrates cameras and joint encoders from images of the moving arm.

    Subscribes: image, camera_info, joint_states; robot_description unless the parameter robot is
    set; depth, mask, ignore_mask as the parameters say. Several cameras: in a namespace each.
    Action: ~/calibrate, one goal at a time.
    Publishes: /diagnostics.

    Callbacks only store; a worker thread reads images, chooses keyframes and solves.

    Args:
        library: the parts of the library behind the node; None: the real ones.

    Raises:
        InputError: a parameter's start value is not valid.
    """

    def __init__(self, library: CalibrationLibrary | None = None, **kwargs: Any) -> None:
        super().__init__("calibrator", **kwargs)
        self._library = library or calibration_library()
        self._settings = Parameters(self, CalibratorSettings)
        self._config = Parameters(self, self._library.config, "calibration.")
        self._choice = Parameters(self, self._library.keyframe_config, "choice.")
        settings = self._settings.config
        self._diagnostics = Diagnostics(self)
        self._diagnostics.set_summary(self._summary)
        self._frames = tf.listen(self)
        self._inputs = CameraInputs(self, settings.cameras, self._diagnostics)
        self._readers = {reader.name: reader for reader in self._inputs.readers}
        self._robot: _Robot | None = None
        self._busy = threading.Lock()
        self._state = "idle"
        self._worker = LatestWorker(self._moment, self._failed, "calibration")
        self._inputs.subscribe(self._take, lambda *_: None, settings.sync_tolerance_s)
        qos.subscribe(self, JointState, "joint_states", self._joint_state, qos.STREAM_INPUT)
        self._source = RobotSource(
            self, settings.robot, self._diagnostics, self._worker, self._load
        )
        self._goals: GoalServer[_Active] = GoalServer(
            self,
            Calibrate,
            "calibrate",
            diagnostics=self._diagnostics,
            begin=self._begin,
            start=self._started,
            refused=lambda why: Calibrate.Result(message=why),
            cancel=self._cancel,
            busy=self._busy.locked,
            rejection="another calibration is still running; cancel it first",
        )
        steady_timer(self, WATCH_PERIOD_S, self._watch)
        warn_of_unknown(self)

    # -- the robot -------------------------------------------------------------------------------

    def _load(self, description: str | None) -> tuple[str, str]:
        settings = self._settings.config
        model, gaussians = self._library.load_robot(settings, description)
        for reader in self._inputs.readers:
            if reader.settings.camera_link:
                model.link_index(reader.settings.camera_link)
        joints = JointInput(model, settings.joint_prefix, self._diagnostics)
        source = settings.robot if description is None else description
        self._robot = _Robot(model, gaussians, joints, source)
        return model.name, "ready for a goal on ~/calibrate"

    def _base_frame(self, model: Any) -> str:
        return self._settings.config.base_frame or model.base_link

    # -- the action ------------------------------------------------------------------------------

    def _started(self, _: _Active) -> None:
        self._diagnostics.good("calibrate")
        self._state = "collecting"

    @staticmethod
    def _cancel(active: _Active, _: str) -> None:
        active.cancelled = True
        active.run.cancel()

    def _begin(self, goal: Any) -> _Active:
        """Return what a goal asks for.

        Raises:
            InputError: it cannot be done.
        """
        if self._robot is None:
            raise InputError(self._source.problem)
        model, gaussians, joints, source = self._robot
        settings, asked = self._settings.config, goal.request
        for name in settings.fixed_joints:
            if name not in model.joint_names:
                raise unknown_name("joint", name, model.joint_names)
        if not (asked.solve_camera or asked.solve_offsets or asked.solve_time_offset):
            raise InputError(
                "the goal asks for nothing: set solve_camera, solve_offsets or solve_time_offset"
            )
        own = self._config.config
        config = dataclasses.replace(
            own,
            estimate_camera=asked.solve_camera,
            estimate_offsets=asked.solve_offsets,
            estimate_lag=asked.solve_time_offset,
            use_depth=own.use_depth and asked.use_depth,
            use_mask=own.use_mask and asked.use_mask,
        )
        choice = self._choice.config
        if asked.solve_time_offset:  # a time offset shows only while the arm moves
            choice = dataclasses.replace(choice, max_speed=max(choice.max_speed, LAG_SPEED))
        if asked.keyframes < config.min_keyframes:
            raise InputError(
                f"{asked.keyframes} keyframes are too few, at least {config.min_keyframes} are "
                "needed"
            )
        if not 0 < asked.timeout_s < 1e6:
            raise InputError(f"timeout_s must be positive, got {asked.timeout_s}")
        parent = Path(asked.folder or settings.folder)
        request = Request(
            keyframes=asked.keyframes,
            timeout_s=asked.timeout_s,
            still_timeout_s=settings.still_timeout_s,
            config=config,
            choice=choice,
            joints=[n for n in model.joint_names if n not in settings.fixed_joints],
            source=source,
            package_paths=settings.package_paths,
            make_folder=lambda: new_folder(parent, "calibration"),
        )
        # What is told comes from the worker; a publisher may be used from any thread.
        calibration = CalibrationRun(
            self._library, model, gaussians, list(self._readers), request, self._tell
        )
        intake = CalibrationIntake(
            self._library,
            calibration,
            self._readers,
            robot=(model, self._base_frame(model)),
            joints=joints,
            frames=self._frames,
            diagnostics=self._diagnostics,
        )
        return _Active(calibration, intake, asked.keyframes)

    def _watch(self) -> None:
        """End the goal when it is cancelled or its work is done."""
        active = self._goals.work
        if active is None:
            return
        if active.cancelled:
            self._state, text = "idle", "cancelled; nothing was written"
            self._goals.end(Calibrate.Result(message=text), text, success=False)
            return
        if active.ended is None:
            if not self._busy.locked():
                self._worker.run(lambda: self._time_passes(active))  # without images too
            return
        self._state = "idle"
        if isinstance(active.ended, Finished):
            result, text = self._result(active.ended), f"calibration: {active.ended.message}"
        else:
            text = str(active.ended)
            if not isinstance(active.ended, DrRobotError):
                text = f"{type(active.ended).__name__}: {text}"
            result = Calibrate.Result(message=text)
        self._goals.end(result, text, success=result.success)

    def _result(self, finished: Finished) -> Any:
        assert self._robot is not None
        model, joints = self._robot.model, self._robot.joints
        header = Header(stamp=self.get_clock().now().to_msg())
        frames = {
            name: (parent_frame(reader, self._base_frame(model)), reader.optical_frame)
            for name, reader in self._readers.items()
        }
        return messages.result_of(finished, header, frames, joints.names)

    # -- in the worker's thread --------------------------------------------------------------------

    def _take(self, frames: dict[str, Frame]) -> None:
        if self._goals.work is not None:  # else nobody wants them decoded
            self._worker.put(frames)

    def _joint_state(self, message: JointState) -> None:
        if self._robot is not None:
            self._robot.joints.add(message)

    def _moment(self, frames: dict[str, Frame]) -> None:
        active = self._goals.work
        if active is None or active.ended is not None:
            return
        with self._busy:
            active.intake.take(frames)
            self._go_on(active)

    def _time_passes(self, active: _Active) -> None:
        with self._busy:
            self._go_on(active)

    def _go_on(self, active: _Active) -> None:
        """Solve as soon as there are keyframes enough."""
        if active is not self._goals.work or active.ended is not None:
            return
        try:
            if active.run.is_collected():
                self._state = "solving"
                active.ended = active.run.solve()
        except Exception as error:  # the goal ends with it, the node does not
            active.ended = error

    def _failed(self, error: Exception) -> None:
        active = self._goals.work
        text = f"{type(error).__name__}: {error}"
        self._diagnostics.fault("calibrate", text)
        if active is not None and active.ended is None:
            active.ended = error

    def _tell(self, news: News) -> None:
        active = self._goals.work
        if active is None:
            return
        keys = moment_keys(active.run.keyframes) if news.residuals else []
        width = self._settings.config.preview_width
        feedback = messages.feedback_of(news, active.run.elapsed_s, active.wanted, keys, width)
        self._goals.tell(feedback)

    # -- how it is doing ---------------------------------------------------------------------------

    def _summary(self) -> tuple[bytes, str, dict[str, str]]:
        active = self._goals.work
        if self._robot is None:
            return WARN, self._source.problem, {}
        if active is None:
            return OK, self._state, {}
        kept = f"{len(active.run.keyframes)} of {active.wanted}"
        return OK, self._state, {"keyframes": kept, "elapsed_s": f"{active.run.elapsed_s:.1f}"}

    def destroy_node(self) -> None:
        """End the calibration and the worker, then the node."""
        self._goals.stop("the node ends")
        self._worker.stop()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(Calibrator, args)


if __name__ == "__main__":
    sys.exit(main())
