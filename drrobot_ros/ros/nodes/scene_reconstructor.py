"""The node ``scene_reconstructor``: the objects in front of an RGB-D camera, as an action."""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from drrobot_msgs.action import ReconstructScene
from drrobot_msgs.msg import EstimatorStatus, Scene
from drrobot_ros.errors import DrRobotError, InputError
from drrobot_ros.ros import qos, tf
from drrobot_ros.ros import scene_messages as messages
from drrobot_ros.ros.calibrate_messages import compressed
from drrobot_ros.ros.camera_inputs import CameraInputs
from drrobot_ros.ros.camera_reader import Picture
from drrobot_ros.ros.conversions import matrix_from_numbers, matrix_from_pose
from drrobot_ros.ros.diagnostics import OK, Diagnostics
from drrobot_ros.ros.estimate_input import EstimateInput
from drrobot_ros.ros.frame_errors import FrameError
from drrobot_ros.ros.goal_server import GoalServer
from drrobot_ros.ros.joint_input import JointInput
from drrobot_ros.ros.latest import LatestWorker
from drrobot_ros.ros.new_folder import new_folder
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.robot_source import RobotSource
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.scene_settings import SceneReconstructorSettings
from drrobot_ros.ros.synchronizer import Frame
from drrobot_ros.ros.timers import steady_timer
from drrobot_ros.scene import ReconstructionConfig, RobotInView, SceneInput

WATCH_PERIOD_S = 0.05


@dataclasses.dataclass(frozen=True)
class SceneLibrary:
    """The parts of the library behind the node, so that tests can put something else there.

    Attributes:
        load_robot: (settings, description or None) -> (model, gaussians).
        reconstruct: (input, config, watcher) -> scene.
        write: (scene, folder, color) -> files by name.
    """

    load_robot: Callable[..., tuple[Any, Any]]
    reconstruct: Callable[..., Any]
    write: Callable[..., dict[str, Path]]


def scene_library() -> SceneLibrary:
    """Return the real parts."""
    import torch

    from drrobot_ros.ros.robots import load_robot
    from drrobot_ros.scene import reconstruct, write_scene

    torch.set_num_threads(1)
    return SceneLibrary(load_robot, reconstruct, write_scene)


class _CancelledError(DrRobotError):
    """The goal was cancelled."""


@dataclasses.dataclass
class _Active:
    """The goal that is being worked on: what was asked, its boxes, what came of it."""

    request: Any
    boxes: NDArray[np.float64]
    begun_s: float
    frame: Frame | None = None
    working: bool = False
    cancelled: bool = False
    result: Any = None


class SceneReconstructor(Node):
    """Reconstructs scenes from one RGB-D image and boxes, in the robot's base frame.

    Subscribes: image, camera_info, depth, joint_states, pose_estimator/status,
    pose_estimator/camera_pose; robot_description unless the parameter robot is set.
    Action: ~/reconstruct_scene, one goal at a time.
    Publishes: ~/scene and ~/markers, latched; ~/collision_objects where moveit_msgs is installed;
    /diagnostics.

    Callbacks only store; a worker thread reads images and reconstructs.

    Args:
        library: the parts of the library behind the node; None: the real ones.

    Raises:
        InputError: a parameter's start value is not valid.
    """

    def __init__(self, library: SceneLibrary | None = None, **kwargs: Any) -> None:
        super().__init__("scene_reconstructor", **kwargs)
        self._library = library or scene_library()
        self._settings = Parameters(self, SceneReconstructorSettings)
        self._config = Parameters(self, ReconstructionConfig, "reconstruction.")
        self._diagnostics = Diagnostics(self)
        self._diagnostics.set_summary(self._summary)
        self._frames = tf.listen(self)
        self._inputs = CameraInputs(self, (), self._diagnostics)
        self._reader = self._inputs.readers[0]
        self._robot: tuple[Any, Any, JointInput, EstimateInput] | None = None
        self._camera_pose: PoseWithCovarianceStamped | None = None
        self._worker: LatestWorker[Any] = LatestWorker(lambda _: None, self._failed, "scene")
        self._scene = qos.publisher(self, Scene, "~/scene", qos.LATCHED)
        self._markers = qos.publisher(self, MarkerArray, "~/markers", qos.LATCHED)
        self._solids = self._collision_publisher()
        self._inputs.subscribe(self._take, lambda *_: None, 0.0)
        qos.subscribe(self, JointState, "joint_states", self._joint_state, qos.STREAM_INPUT)
        estimator = "pose_estimator"
        qos.subscribe(self, EstimatorStatus, f"{estimator}/status", self._status, qos.STREAM_INPUT)
        qos.subscribe(
            self,
            PoseWithCovarianceStamped,
            f"{estimator}/camera_pose",
            self._moved,
            qos.STREAM_INPUT,
        )
        robot = self._settings.config.robot
        self._source = RobotSource(self, robot, self._diagnostics, self._worker, self._load)
        self._goals: GoalServer[_Active] = GoalServer(
            self,
            ReconstructScene,
            "reconstruct_scene",
            diagnostics=self._diagnostics,
            begin=self._begin,
            start=self._started,
            refused=lambda why: ReconstructScene.Result(message=why),
            cancel=self._cancel,
            rejection="another scene is being reconstructed; cancel it first",
        )
        steady_timer(self, WATCH_PERIOD_S, self._watch)
        warn_of_unknown(self)

    def _collision_publisher(self) -> Any:
        if not messages.has_moveit():
            return None
        from moveit_msgs.msg import CollisionObject  # pyright: ignore[reportMissingImports]

        return self.create_publisher(CollisionObject, "~/collision_objects", 50)

    # -- robot and camera --------------------------------------------------------------------------

    def _load(self, description: str | None) -> tuple[str, str]:
        settings = self._settings.config
        model, gaussians = self._library.load_robot(settings, description)
        joints = JointInput(model, settings.joint_prefix, self._diagnostics)
        estimate = EstimateInput(joints.names, settings.seen_patience_s)
        self._robot = (model, gaussians, joints, estimate)
        return model.name, "it is taken out of images"

    def _joint_state(self, message: JointState) -> None:
        if self._robot is not None:
            self._robot[2].add(message)

    def _status(self, message: EstimatorStatus) -> None:
        if self._robot is not None:
            self._robot[3].add(message)

    def _moved(self, message: PoseWithCovarianceStamped) -> None:
        self._camera_pose = message

    def _base_frame(self) -> str:
        settings = self._settings.config
        if settings.base_frame:
            return settings.base_frame
        if self._robot is None:
            raise InputError(f"set base_frame, or give the robot: {self._source.problem}")
        return self._robot[0].base_link

    def _camera(self, optical: str) -> tuple[NDArray[np.float64], bool, str]:
        """Return T_base_camera, whether it is to be trusted, and what is wrong.

        Raises:
            InputError: it is not known at all.
        """
        settings = self._settings.config
        if settings.camera_pose:
            return matrix_from_numbers(settings.camera_pose), True, ""
        robot = self._robot
        if self._camera_pose is not None:
            lost = robot[3].problem() if robot is not None and robot[3].is_there else ""
            return matrix_from_pose(self._camera_pose.pose.pose), not lost, lost
        base = self._base_frame()
        T = self._frames.lookup(base, optical)
        if T is None:
            raise InputError(
                "where the camera is, is not known: set camera_pose, run the pose estimator, or "
                f"connect {base!r} with {optical!r} on tf"
            )
        return T, True, ""

    # -- the action --------------------------------------------------------------------------------

    def _started(self, active: _Active) -> None:
        if active.frame is not None:
            self._start(active, active.frame)
        else:
            self._tell(active, "waiting", 0.0, {})

    @staticmethod
    def _cancel(active: _Active, _: str) -> None:
        active.cancelled = True

    def _begin(self, goal: Any) -> _Active:
        asked = goal.request
        columns = [asked.center_x, asked.center_y, asked.size_x, asked.size_y]
        if len({len(c) for c in columns}) != 1 or not len(asked.center_x):
            counts = ", ".join(str(len(c)) for c in columns)
            raise InputError(f"boxes need as many centres as sizes, at least one; got {counts}")
        if asked.names and len(asked.names) != len(asked.center_x):
            raise InputError(f"{len(asked.names)} names for {len(asked.center_x)} boxes")
        x, y, w, h = (np.asarray(c, np.float64) for c in columns)
        boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
        if not np.isfinite(boxes).all():
            raise InputError("boxes must be finite")
        if not 0 < asked.timeout_s < 1e6:
            raise InputError(f"timeout_s must be positive, got {asked.timeout_s}")
        frame = None
        if asked.image.width:
            frame = Frame(asked.image, asked.camera_info, {"depth": asked.depth})
        elif not self._reader.settings.subscribe_depth:
            raise InputError("no image in the goal, and the node has no depth: set subscribe_depth")
        return _Active(asked, boxes, time.monotonic(), frame)

    def _take(self, frames: dict[str, Frame]) -> None:
        active = self._goals.work
        if active is None or active.working or active.frame is not None:
            return
        frame = next(iter(frames.values()))
        if "depth" in frame.extras:
            self._start(active, frame)

    def _start(self, active: _Active, frame: Frame) -> None:
        active.frame, active.working = frame, True
        self._worker.run(lambda: self._work(active, frame))

    def _watch(self) -> None:
        active = self._goals.work
        if active is None:
            return
        timeout_s = active.request.timeout_s
        if active.result is None and not active.working:
            if active.cancelled:
                active.result = ReconstructScene.Result(message="cancelled")
            elif time.monotonic() - active.begun_s > timeout_s:
                text = f"no image with camera_info and depth came in {timeout_s:.1f} s"
                active.result = ReconstructScene.Result(message=text)
        result = active.result
        if result is not None:
            self._goals.end(result, result.message, success=result.success)

    # -- in the worker's thread --------------------------------------------------------------------

    def _work(self, active: _Active, frame: Frame) -> None:
        try:
            active.result = self._reconstructed(active, frame)
        except _CancelledError:
            active.result = ReconstructScene.Result(message="cancelled")
        except (DrRobotError, FrameError) as error:
            active.result = ReconstructScene.Result(message=str(error))
        except Exception as error:  # the goal ends with it, the node does not
            text = f"{type(error).__name__}: {error}"
            active.result = ReconstructScene.Result(message=text)

    def _reconstructed(self, active: _Active, frame: Frame) -> Any:
        asked = active.request
        picture = self._reader.read(frame)
        if "depth_m" not in picture.planes:
            raise InputError("the depth image cannot be used; see /diagnostics")
        base = self._base_frame()
        T, trusted, lost = self._camera(self._reader.optical_frame)

        def watch(stage: str, part: float, pictures: dict[str, NDArray[np.uint8]]) -> None:
            if active.cancelled:
                raise _CancelledError("cancelled")
            self._tell(active, stage, 100.0 * part, pictures)

        scene = self._library.reconstruct(
            SceneInput(
                color=picture.image,
                depth_m=np.nan_to_num(picture.planes["depth_m"]),
                camera=picture.camera,
                boxes=active.boxes,
                names=tuple(asked.names),
                T_base_camera=T,
                camera_trusted=trusted,
                robot=self._in_view(picture),
            ),
            self._config.config,
            watch,
        )
        header = Header(stamp=frame.image.header.stamp, frame_id=base)
        message = messages.scene_message(scene, header)
        if lost:
            why = f"the camera's pose is not to be trusted: {lost}"
            message.warnings = [*message.warnings, why]
        files = self._written(scene, asked.folder, picture)
        if active.cancelled:
            raise _CancelledError("cancelled")
        self._publish(message)
        return self._result(scene, message, files)

    def _in_view(self, picture: Picture) -> RobotInView | None:
        """Return the robot as the joint states say it stands, if it is known."""
        if self._robot is None:
            return None
        model, gaussians, joints, estimate = self._robot
        q = joints.at(picture.joints_s)
        seen = estimate.newest
        if seen is not None:  # where the camera sees it
            q = np.where(np.isfinite(seen.q), seen.q, q)
        return RobotInView(model, gaussians, q) if np.isfinite(q).all() else None

    def _written(self, scene: Any, asked: str, picture: Picture) -> list[str]:
        folder = asked or self._settings.config.folder
        if not folder:
            return []
        path = new_folder(Path(folder), "scene")
        return [str(p) for p in self._library.write(scene, path, picture.image).values()]

    def _publish(self, message: Scene) -> None:
        self._scene.publish(message)
        self._markers.publish(messages.markers_of(message))
        if self._solids is not None:
            for solid in messages.collision_objects(message):
                self._solids.publish(solid)

    def _result(self, scene: Any, message: Scene, files: list[str]) -> Any:
        doubtful = [o.name for o in message.objects if not o.confidence >= 0.5]
        text = f"{len(message.objects)} objects"
        if doubtful:
            text += f"; not believed: {', '.join(doubtful)}"
        if message.warnings:
            text += f"; {'; '.join(message.warnings)}"
        return ReconstructScene.Result(
            success=True,
            believable=bool(scene.believable) and not doubtful,
            message=text,
            scene=message,
            files=files,
        )

    def _tell(
        self, active: _Active, stage: str, percent: float, pictures: dict[str, NDArray[np.uint8]]
    ) -> None:
        """Publish feedback; from any thread."""
        feedback = ReconstructScene.Feedback(stage=stage, percent=float(percent))
        feedback.elapsed_s = time.monotonic() - active.begun_s
        width = self._settings.config.pictures_width
        if width > 0:
            feedback.picture_names = list(pictures)
            feedback.pictures = [compressed(np.asarray(p), width) for p in pictures.values()]
        self._goals.tell(feedback)

    def _failed(self, error: Exception) -> None:
        self._diagnostics.fault("reconstruct_scene", f"{type(error).__name__}: {error}")

    def _summary(self) -> tuple[bytes, str, dict[str, str]]:
        active = self._goals.work
        if active is None:
            return OK, "idle", {}
        elapsed = f"{time.monotonic() - active.begun_s:.1f}"
        return OK, "working" if active.working else "waiting", {"elapsed_s": elapsed}

    def destroy_node(self) -> None:
        """End the goal and the worker, then the node."""
        self._goals.stop("the node ends")
        self._worker.stop()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(SceneReconstructor, args)


if __name__ == "__main__":
    sys.exit(main())
