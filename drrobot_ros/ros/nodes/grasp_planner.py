"""The node ``grasp_planner``: takes hold of an object of the last reconstructed scene."""

import dataclasses
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from drrobot_msgs.action import GraspObject
from drrobot_msgs.msg import Scene
from drrobot_ros.errors import InputError
from drrobot_ros.grasping.config import GraspConfig, GripperConfig
from drrobot_ros.grasping.gripper import Gripper, find_gripper
from drrobot_ros.grasping.motion import safety_gate
from drrobot_ros.grasping.planner import GraspRefusedError
from drrobot_ros.grasping.scene import GraspScene
from drrobot_ros.ros import qos
from drrobot_ros.ros.arm_executor import ArmExecutor
from drrobot_ros.ros.arm_node import ArmNode, ControlLibrary, Robot
from drrobot_ros.ros.conversions import pose_from_matrix, stamp_to_s
from drrobot_ros.ros.goal_server import GoalServer
from drrobot_ros.ros.grasp_run import GraspRun, GraspTask, Outcome
from drrobot_ros.ros.gripper_interface import CommandGripper, GripperInterface
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.scene_messages import grasp_scene
from drrobot_ros.ros.scene_settings import GraspPlannerSettings
from drrobot_ros.ros.timers import steady_timer

WATCH_PERIOD_S = 0.02
Result, Feedback = GraspObject.Result, GraspObject.Feedback
STAGES = ("planning", "executing", "stopping")


def grasp_library() -> ControlLibrary:
    """Return the parts of the library behind the node: a robot without splats."""
    import torch

    from drrobot_ros.ros.robots import load_model

    torch.set_num_threads(1)

    def load(settings: Any, description: str | None = None) -> tuple[Any, None]:
        source = settings.robot if description is None else description
        return load_model(source, settings.package_paths, settings.base_link), None

    return ControlLibrary(load, lambda *_: None)


class GraspPlanner(ArmNode):
    """Plans grasps on reconstructed scenes and has arm and gripper carry them out, if asked to.

    Subscribes: scene_reconstructor/scene, joint_states, pose_estimator/status;
    robot_description unless the parameter robot is set.
    Action: ~/grasp_object, one goal at a time.
    Client of the arm's controller: FollowJointTrajectory or JointTrajectory; of the gripper's:
    GripperCommand, unless the arm's controller moves it.

    Args:
        library: the parts of the library behind the node; None: the real ones.

    Raises:
        InputError: a parameter's start value is not valid, or the controller is not known.
    """

    def __init__(self, library: ControlLibrary | None = None, **kwargs: Any) -> None:
        super().__init__(
            "grasp_planner", GraspPlannerSettings, library or grasp_library(), **kwargs
        )
        self._grasp = Parameters(self, GraspConfig, "grasp.")
        self._found = Parameters(self, GripperConfig, "gripper.", read_only=True).config
        self._gripper: Gripper | None = None
        self._hand: GripperInterface | None = None
        self._scene: Scene | None = None
        self._stage = 0
        qos.subscribe(self, Scene, "scene_reconstructor/scene", self._seen_scene, qos.LATCHED)
        self._goals: GoalServer[GraspRun] = GoalServer(
            self,
            GraspObject,
            "grasp_object",
            diagnostics=self.diagnostics,
            begin=self._begin,
            start=lambda run: self.worker.run(run.work),
            refused=lambda why: self._result(Outcome(Result.REFUSED, why, "arm")),
            cancel=GraspRun.cancel,
        )
        steady_timer(self, WATCH_PERIOD_S, self._watch)
        warn_of_unknown(self)

    def loaded(self, robot: Robot) -> None:
        """See :class:`ArmNode`."""
        self._gripper = gripper = find_gripper(robot.model, self._found)
        settings = self.settings.config
        if settings.gripper_interface == "command":
            self._hand = CommandGripper(
                self,
                settings.gripper_action,
                gripper,
                settings.gripper_position,
                settings.gripper_timeout_s,
            )
        self.get_logger().info(
            f"gripper: {', '.join(gripper.joints)} at {gripper.palm!r}, opens "
            f"{gripper.max_gap_m * 1e3:.0f} mm"
        )

    def uses_estimate(self) -> bool:
        """See :class:`ArmNode`."""
        wanted = self.settings.config.estimate
        heard = self.robot is not None and self.robot.estimate.is_there
        return wanted == "yes" or (wanted == "auto" and heard)

    def _seen_scene(self, message: Scene) -> None:
        self._scene = message

    # -- the action --------------------------------------------------------------------------------

    def _begin(self, goal: Any) -> GraspRun:
        robot = self.ready_robot()
        assert self._gripper is not None  # found while the robot was loaded
        task = GraspTask(
            gripper=self._gripper,
            scene=self._believed,
            executor=lambda scene, target: self._executor_for(robot, scene, target),
            hand=self._hand,
            start=lambda must: self._start(robot, must),
            offsets=lambda: self.known_offsets(robot),
            prefix=robot.joints.names.prefix,
            config=self._grasp.config,
            safety=self._safety,
        )
        return GraspRun(goal.request, task, self._tell)

    def _watch(self) -> None:
        """End the goal when its work is done."""
        run = self._goals.work
        outcome = None if run is None else run.outcome
        if outcome is None:
            return
        result = self._result(outcome)
        quiet = outcome.code in (Result.CANCELED, Result.MISSED)
        self._goals.end(result, outcome.message, success=result.success, fault=not quiet)

    def _result(self, outcome: Outcome) -> Any:
        result = Result(outcome=outcome.code, message=outcome.message, reason=outcome.reason)
        result.success = outcome.code in (Result.PLANNED, Result.LIFTED)
        result.hold = -1.0
        result.trajectories = list(outcome.trajectories)
        result.phases = list(outcome.phases)
        plan = outcome.plan
        if plan is None:
            return result
        result.object, result.width, result.score = plan.target, plan.width_m, plan.score
        if plan.trial is not None:
            result.hold = float(np.mean(plan.trial.held))
        result.grasp.header = Header(stamp=self.get_clock().now().to_msg())
        if self._scene is not None:
            result.grasp.header.frame_id = self._scene.header.frame_id
        result.grasp.pose = pose_from_matrix(plan.T_base_tool)
        return result

    def _tell(self, stage: int, phase: str, percent: float) -> None:
        """Publish feedback; from any thread."""
        self._stage = stage
        run = self._goals.work
        if run is not None:
            feedback = Feedback(stage=stage, phase=phase, percent=float(percent))
            feedback.elapsed_s = run.elapsed_s
            self._goals.tell(feedback)

    # -- in the worker's thread --------------------------------------------------------------------

    def _believed(self) -> GraspScene:
        """Return the newest scene, if the camera that saw it is still believed."""
        message = self._scene
        if message is None:
            raise GraspRefusedError("scene", "no scene was reconstructed yet")
        robot, settings = self.ready_robot(), self.settings.config
        base = settings.base_frame or robot.model.base_link
        if message.header.frame_id != base:
            raise GraspRefusedError(
                "scene", f"the scene is in {message.header.frame_id!r}, not in {base!r}"
            )
        age_s = self.get_clock().now().nanoseconds * 1e-9 - stamp_to_s(message.header.stamp)
        if settings.max_scene_age_s and age_s > settings.max_scene_age_s:
            raise GraspRefusedError("scene", f"the scene is {age_s:.0f} s old; look again")
        trouble = robot.estimate.problem() if self.uses_estimate() else ""
        if trouble:
            raise GraspRefusedError("camera", trouble)
        return grasp_scene(message)

    def _start(self, robot: Robot, must_be_known: bool) -> NDArray[np.float64]:
        """Return where the arm is, as far as the camera told, true positions [nq]."""
        try:
            return robot.executor.encoders() - self.known_offsets(robot)
        except InputError:
            if must_be_known:
                raise
        return np.asarray(robot.model.home(), np.float64)

    def _executor_for(self, robot: Robot, scene: GraspScene, target: str) -> ArmExecutor:
        """Return what moves the arm among a scene's solids, and make it the one that is watched."""
        assert self._gripper is not None
        near = dataclasses.replace(
            self._safety,
            collision_margin_m=min(
                self._grasp.config.near_margin_m, self._safety.collision_margin_m
            ),
        )
        executor = ArmExecutor(
            interface=self._interface,
            controller=self._controller,
            joints=robot.joints,
            model=robot.model,
            gate=safety_gate(self._gripper, scene, target, near),
            clock=self.clock,
            config=self._execution,
            following=self._following,
            trouble=self._trouble,
        )
        robot.executor = executor
        return executor

    # -- how it is doing ---------------------------------------------------------------------------

    def state(self) -> tuple[str, dict[str, str]]:
        """See :class:`ArmNode`."""
        run = self._goals.work
        if run is None:
            return "idle" if self._scene is not None else "waiting for a scene", {}
        return STAGES[self._stage], {"elapsed_s": f"{run.elapsed_s:.1f}"}

    def destroy_node(self) -> None:
        """End the goal, stop the arm, then end the node."""
        self._goals.stop("the node ends")
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(GraspPlanner, args)


if __name__ == "__main__":
    sys.exit(main())
