"""Both nodes of grasping on a world with physics: from one noisy RGB-D image to a lifted object."""

import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")
pytest.importorskip("airo_models", reason="the arm of the demonstration is not installed")

from arm_world import skip_where_busy
from grasp_cell import GraspCell
from rclpy.action import ActionClient
from waiting import answered, until

from drrobot_msgs.action import GraspObject, ReconstructScene
from drrobot_ros.geometry.pose_numbers import numbers_from_pose

pytestmark = pytest.mark.slow
SCENE, GRASP = "scene_reconstructor", "grasp_planner"
PATIENT = {  # the machine may have much else to do
    "execution.lead_s": 0.1,
    "following.silence_s": 1.5,
    "following.delay_s": 0.3,
}


class Cell:
    def __init__(self, start_node, folder) -> None:
        self.cell = cell = GraspCell("box,bottle", seed=3)
        pose = [float(x) for x in numbers_from_pose(cell.T_base_camera)]
        common = {"robot": cell.urdf(folder / "arm.urdf"), "camera_pose": pose}
        seeing = {"subscribe_depth": True, "folder": folder, "reconstruction.appearance": False}
        nodes = {SCENE: {**common, **seeing}, GRASP: {**common, **PATIENT}}
        self.processes = {}
        for name, values in nodes.items():
            words = [word for k, v in values.items() for word in ("-p", f"{k}:={v}")]
            module = f"drrobot_ros.ros.nodes.{name}"
            self.processes[name] = start_node("-m", module, "--ros-args", *words)
        self.clients = {
            SCENE: ActionClient(cell.node, ReconstructScene, f"{SCENE}/reconstruct_scene"),
            GRASP: ActionClient(cell.node, GraspObject, f"{GRASP}/grasp_object"),
        }
        for name, client in self.clients.items():
            assert client.wait_for_server(timeout_sec=60.0), self.processes[name].output()
        self.until(lambda: "gripper:" in self.processes[GRASP].output(), 60.0)

    def until(self, condition, timeout_s: float):
        return until(condition, timeout_s, self.told)

    def told(self) -> str:
        return "\n".join(p.output() for p in self.processes.values())

    def ask(self, name: str, goal):
        """Send a goal; return its result."""
        client = self.clients[name]
        handle = answered(self.cell.executor, client, goal, self.told)
        assert handle.accepted
        return self.until(handle.get_result_async().result, 300.0).result


@pytest.fixture(scope="module")
def world(start_node, tmp_path_factory):
    skip_where_busy()
    world = Cell(start_node, tmp_path_factory.mktemp("cell"))
    yield world
    world.cell.close()
    for process in world.processes.values():
        assert process.stop() == 0, process.output()


def test_what_is_seen_is_lifted(world) -> None:
    cell = world.cell
    x, y, width, height = zip(*(cell.box(name) for name in cell.masks), strict=True)
    scene = world.ask(
        SCENE,
        ReconstructScene.Goal(
            center_x=x, center_y=y, size_x=width, size_y=height, names=list(cell.masks),
            timeout_s=20.0,
        ),
    )  # fmt: skip
    assert scene.success and scene.believable, scene.message
    assert {o.name for o in scene.scene.objects} == set(cell.masks)
    before = {name: cell.height(name) for name in cell.masks}
    result = world.ask(GRASP, GraspObject.Goal(object="box", execute=True, lift=0.1))
    assert result.outcome == GraspObject.Result.LIFTED, result.message
    time.sleep(0.5)
    assert cell.height("box") > before["box"] + 0.07
    assert abs(cell.height("bottle") - before["bottle"]) < 0.01  # nothing else was touched
