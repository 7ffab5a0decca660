"""The node ``robot_identifier``: live joint states in, a corrected description of the robot out."""

import sys
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from drrobot_ros.errors import DrRobotError, InputError, unknown_name
from drrobot_ros.identification import IdentificationConfig, Recording, identify, write_csv
from drrobot_ros.identification.report import write_report
from drrobot_ros.identification.write import write_description
from drrobot_ros.ros import qos
from drrobot_ros.ros.diagnostics import ERROR, OK, WARN, Diagnostics
from drrobot_ros.ros.joint_recorder import JointRecorder
from drrobot_ros.ros.latest import LatestWorker
from drrobot_ros.ros.new_folder import new_folder
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.robots import load_model
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.settings import RobotIdentifierSettings
from drrobot_ros.ros.timers import steady_timer

REPORT, RECORDING = "report.md", "recording.csv"


class RobotIdentifier(Node):
    """Records joint states between two services and fits the robot's parameters to them.

    Subscribes: joint_states; robot_description unless the parameter robot is set.
    Publishes: ~/status, /diagnostics.
    Services: ~/start begins a recording and forgets the last; ~/fit ends it, fits, writes a folder
    and answers with the verdict. The fit runs in a thread of its own: a recording can go on.

    Raises:
        InputError: a parameter's start value is not valid, or the robot cannot be loaded.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("robot_identifier", **kwargs)
        self._settings = Parameters(self, RobotIdentifierSettings)
        self._config = Parameters(self, IdentificationConfig, "fit.")
        self._diagnostics = Diagnostics(self)
        self._diagnostics.set_summary(self._summary)
        self._model: Any = None
        self._source = ""
        self._recorder: JointRecorder | None = None
        self._recording = False
        self._fitting: Future | None = None
        self._fitted: tuple[bool, str] | None = None
        self._worker: LatestWorker[None] = LatestWorker(lambda _: None, self._failed, "fit")
        self._verdict = ""
        self._status = qos.publisher(self, DiagnosticStatus, "~/status", qos.OUTPUT)
        settings = self._settings.config
        qos.subscribe(self, JointState, "joint_states", self._joint_state, qos.STREAM_INPUT)
        if settings.robot:
            self._load(settings.robot)
        else:
            qos.subscribe(self, String, "robot_description", self._description, qos.LATCHED)
        self.create_service(Trigger, "~/start", self._start)
        # A call that waits for its answer would hold up whatever is in its group.
        group = ReentrantCallbackGroup()
        fit: Any = self._fit  # rclpy takes coroutines, its types do not say so
        self.create_service(Trigger, "~/fit", fit, callback_group=group)
        steady_timer(self, 0.5, self._publish_status)
        steady_timer(self, 0.05, self._look_at_fit)
        warn_of_unknown(self)

    def _load(self, source: str) -> None:
        settings = self._settings.config
        self._model = load_model(source, settings.package_paths, settings.base_link)
        self._source = source
        self._diagnostics.hardware_id = self._model.name
        self._recorder, self._recording = None, False
        self.get_logger().info(f"robot {self._model.name!r}: {', '.join(self._model.joint_names)}")

    def _description(self, message: String) -> None:
        if message.data == self._source:
            return
        try:
            self._load(message.data)
        except DrRobotError as error:  # another may come
            self._diagnostics.fault("robot_description", str(error), lasting=True)
        else:
            self._diagnostics.good("robot_description")

    def _joint_state(self, message: JointState) -> None:
        if self._recorder is None or not self._recording:
            return
        arrival_s = self.get_clock().now().nanoseconds * 1e-9
        complaint = self._recorder.add(message, arrival_s)
        if complaint:
            cause = complaint.split(":")[0][:40]
            self._diagnostics.fault("joint_states", complaint, WARN, cause=cause)

    def _start(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = False
        if self._model is None:
            response.message = "there is no robot yet: robot_description was not received"
            return response
        settings = self._settings.config
        names = self._model.joint_names
        for name in settings.held_joints:
            if name not in names:
                response.message = str(unknown_name("held joint", name, names))
                return response
        wanted = [name for name in names if name not in settings.held_joints]
        self._recorder = JointRecorder(wanted, settings.joint_prefix, settings.max_duration_s)
        self._recording, self._verdict = True, ""
        response.success = True
        response.message = f"recording {', '.join(wanted)} from joint_states"
        self._publish_status()
        return response

    async def _fit(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = False
        if self._fitting is not None:
            response.message = "a fit is still running: its own call is answered when it is done"
            return response
        self._recording = False
        if self._recorder is None:
            response.message = "nothing is recorded: call start first"
            return response
        try:
            recording = self._recorder.recording()
        except InputError as error:
            response.message = self._verdict = str(error)
            self._diagnostics.fault("fit", str(error), lasting=True)
            return response
        done: Future = Future()
        self._fitting, self._fitted = done, None
        model, source = self._model, self._source
        self._worker.run(lambda: self._work(model, source, recording))
        self._publish_status()
        answer: Any = await done
        response.success, response.message = answer
        return response

    def _work(self, model: Any, source: str, recording: Recording) -> None:
        """Fit, in the worker's thread."""
        try:
            self._fitted = True, self._identified(model, source, recording)
        except (DrRobotError, OSError) as error:
            self._fitted = False, str(error)

    def _failed(self, error: Exception) -> None:
        self._fitted = False, f"{type(error).__name__}: {error}"

    def _look_at_fit(self) -> None:
        """Answer the call when its fit is done."""
        if self._fitting is None or self._fitted is None:
            return
        (success, message), done = self._fitted, self._fitting
        self._fitting = self._fitted = None
        if success:
            self._diagnostics.good("fit")
        else:
            self._diagnostics.fault("fit", message, lasting=True)
        self._verdict = message
        self._publish_status()
        done.set_result((success, message))

    def _identified(self, model: Any, source: str, recording: Recording) -> str:
        """Fit, write everything and return the verdict in words."""
        settings = self._settings.config
        held = dict(zip(settings.held_joints, settings.held_positions, strict=True))
        result = identify(model, recording, self._config.config, held)
        folder = new_folder(Path(settings.folder), "fit")
        write_csv(folder / RECORDING, recording)
        path, remarks = write_description(result, source, folder, settings.package_paths)
        write_report(result, folder, remarks)
        worst = max(result.joints, key=lambda j: j.validated / max(j.torque, 1e-12))
        share = worst.validated / max(worst.torque, 1e-12)
        lines = [
            f"{result.verdict}: at most {share:.2%} of a joint's torque is unexplained "
            f"({worst.name}), condition number {result.condition:.3g}",
            *result.reasons,
            *recording.notes,
            *remarks,
            f"written: {folder}/{REPORT}, {path.name}, {RECORDING}",
        ]
        return "\n".join(lines)

    @property
    def _state(self) -> str:
        if self._model is None:
            return "waiting for a robot description"
        if self._recording:
            return "recording"
        return "idle" if self._fitting is None else "fitting"

    def _summary(self) -> tuple[bytes, str, dict[str, str]]:
        state = self._state
        values = {"state": state, "verdict": self._verdict}
        level, message = OK, state
        if self._model is None:
            level = WARN
        if self._recorder is not None:
            counts = self._recorder.counts
            gaps = len(self._recorder.pieces()) - 1
            values |= {
                "duration_s": f"{self._recorder.duration_s:.3f}",
                "kept": str(counts.kept),
                "not finite": str(counts.not_finite),
                "incomplete": str(counts.incomplete),
                "out of order": str(counts.out_of_order),
                "overflow": str(counts.overflow),
                "gaps": str(gaps),
            }
            if gaps or counts.lost:
                level = WARN
                message += f"; {gaps} gaps, {counts.lost} joint states not kept"
            if self._recording and not counts.kept:
                level, message = ERROR, "recording, but no joint states of this robot came"
        return level, message, values

    def destroy_node(self) -> None:
        """End the worker, then the node."""
        self._worker.stop()
        super().destroy_node()

    def _publish_status(self) -> None:
        level, message, values = self._summary()
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        name = self.get_fully_qualified_name().lstrip("/")
        hardware = self._diagnostics.hardware_id
        self._status.publish(
            DiagnosticStatus(
                level=level, name=name, message=message, hardware_id=hardware, values=pairs
            )
        )


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(RobotIdentifier, args)


if __name__ == "__main__":
    sys.exit(main())
