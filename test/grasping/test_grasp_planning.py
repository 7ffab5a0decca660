"""Plans: trials in physics, motions through the gate, refusals, carrying out."""

import dataclasses

import numpy as np
import pytest
import torch
from gantry import box, scene, thing

from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.errors import InputError
from drrobot_ros.grasping.candidates import find_candidates
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.execution import run_in_world
from drrobot_ros.grasping.motion import safety_gate
from drrobot_ros.grasping.planner import GraspRefusedError, plan_grasp
from drrobot_ros.grasping.trial import CONDITIONS, GraspTrials
from drrobot_ros.robot import primitives
from drrobot_ros.simulation.physics import PhysicsWorld, Solid

CONFIG = GraspConfig(samples=150, ranked=20, tried=4)


@pytest.fixture(scope="module")
def planned(gripper):
    where = scene(box(), box("other", xy=(0.1, 0.16)))
    q = gripper.set(gripper.model.home().numpy(), gripper.max_gap_m)
    return where, q, plan_grasp(gripper, where, "box", q, CONFIG)


def test_good_grasp_holds_and_bad_one_does_not(gripper):
    target = box(half=(0.02, 0.06, 0.03))
    found = find_candidates(gripper, scene(target), target, CONFIG)
    trials = GraspTrials(gripper, scene(target), target, CONFIG)
    good = trials.run(found, 0)
    assert good.held == (True,) * len(CONDITIONS) and good.score > 0.8 and not good.why
    along = target.T_base_object[:3, 1]
    T = found.T_base_tool.copy()
    T[0, :3, 3] += 0.1 * along  # beside the box
    bad = trials.run(dataclasses.replace(found, T_base_tool=T), 0)
    assert not any(bad.held) and bad.why == "missed"


def test_slippery_heavy_object_is_not_held(gripper):
    target = box(friction=0.2, mass_kg=8.0)
    found = find_candidates(gripper, scene(target), target, CONFIG)
    assert not any(GraspTrials(gripper, scene(target), target, CONFIG).run(found, 0).held)


def test_plan_is_one_safe_motion(gripper, planned):
    where, q, plan = planned
    names = [p.name for p in plan.phases]
    assert names[0] == "reach" and names[-3:] == ["approach", "close", "lift"]
    arm = [gripper.model.joint_q_index(n) for n in gripper.arm_joints]
    at = q
    for phase in plan.phases:
        if phase.motion is None:
            continue
        np.testing.assert_allclose(phase.motion.q[0][arm], at[arm], atol=1e-6)
        np.testing.assert_allclose(phase.motion.v[-1], 0, atol=1e-6)
        at = phase.motion.q[-1]
        without = "" if phase.name == "reach" else "box"
        safety = SafetyConfig(collision_margin_m=0.01 if phase.name == "reach" else 0.002)
        safety_gate(gripper, where, without, safety).check(phase.motion)
    assert plan.phases[-2].force_n > 0
    assert set(plan.seconds) == {"candidates", "reach", "physics", "motion"}


def test_approach_and_lift_are_straight(gripper, planned):
    _, _, plan = planned
    for name, way in (("approach", plan.T_base_tool[:3, 2]), ("lift", np.array([0, 0, 1.0]))):
        motion = next(p.motion for p in plan.phases if p.name == name)
        T = gripper.model.link_pose(
            torch.from_numpy(motion.q), gripper.model.link_index(gripper.palm)
        ).numpy()
        tool = T @ gripper.T_palm_tool
        start, end = tool[0, :3, 3], tool[-1, :3, 3]
        assert (end - start) @ way == pytest.approx(np.linalg.norm(end - start), rel=1e-3)
        off = np.cross(tool[:, :3, 3] - start, way)
        assert np.linalg.norm(off, axis=1).max() < 1.5e-3
        turned = tool[:, :3, :3].transpose(0, 2, 1) @ tool[0, :3, :3]
        assert np.trace(turned, axis1=1, axis2=2).min() > 3 - 1e-3
    grasp = next(p.motion for p in plan.phases if p.name == "approach").q[-1]
    T = gripper.model.link_pose(
        torch.from_numpy(grasp), gripper.model.link_index(gripper.palm)
    ).numpy()
    np.testing.assert_allclose(T @ gripper.T_palm_tool, plan.T_base_tool, atol=2e-3)


def test_carried_out_in_physics(gripper, planned):
    where, q, plan = planned
    solids = [Solid(o.name, o.pieces, o.T_base_object) for o in where.objects]
    world = PhysicsWorld(gripper.model, solids, plane=(np.array([0, 0, 1.0]), 0.0),
                         forces=gripper.motor_forces(35.0))  # fmt: skip
    world.place(q)
    seen = []
    outcome = run_in_world(
        world, gripper, plan, lift_m=CONFIG.lift_m, each=lambda p, _: seen.append(p)
    )
    assert outcome.held and not outcome.why and outcome.lifted_m > 0.1 and outcome.slip_m < 0.01
    assert list(dict.fromkeys(seen)) == ["reach", "approach", "close", "lift", "hold"]
    other = world.solid_pose("other")[:3, 3]
    np.testing.assert_allclose(other, [0.1, 0.16, 0.03], atol=5e-3)
    # The same motion where nothing stands lifts nothing.
    world.reset()
    world.set_solid("box", world.solid_pose("box") + np.eye(4, k=3) * 0.3)
    world.place(q)
    assert not run_in_world(world, gripper, plan, lift_m=CONFIG.lift_m).held


@pytest.mark.parametrize(
    ("kind", "where", "words"),
    [
        ("confidence", scene(box(confidence=0.2, reasons=("no depth",))), "no depth"),
        ("confidence", scene(box(), confidence=0.1, reasons=("camera lost",)), "camera lost"),
        ("candidates", scene(box(half=(0.06, 0.06, 0.05))), "fit between the pads"),
        ("reach", scene(box(xy=(1.5, 0.0))), "out of reach"),
        ("physics", scene(box(friction=0.05, mass_kg=9.0)), "none of"),
    ],
)
def test_refusals(gripper, kind, where, words):
    q = gripper.model.home().numpy()
    with pytest.raises(GraspRefusedError, match=words) as refused:
        plan_grasp(gripper, where, "box", q, CONFIG)
    assert refused.value.kind == kind


def test_bad_arguments(gripper):
    with pytest.raises(InputError, match="unknown object 'cup'; valid: box"):
        plan_grasp(gripper, scene(box()), "cup", gripper.model.home().numpy())
    with pytest.raises(InputError, match="q_now must be 7 finite numbers"):
        plan_grasp(gripper, scene(box()), "box", np.zeros(3))


def test_motion_through_an_obstacle_is_refused(gripper):
    # A lid hangs above everything: no way in leads past it.
    lid = thing("lid", primitives.box(np.array([0.6, 0.6, 0.01])), [0.1, 0, 0.3])
    q = gripper.model.home().numpy()
    with pytest.raises(GraspRefusedError) as refused:
        plan_grasp(gripper, scene(box(), lid), "box", q, CONFIG)
    assert refused.value.kind in ("candidates", "reach", "motion")


def test_watch_can_stop(gripper):
    def stop(stage, part):
        if stage == "physics":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan_grasp(gripper, scene(box()), "box", gripper.model.home().numpy(), CONFIG, watch=stop)
