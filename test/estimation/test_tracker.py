"""The tracker on simulated images: what it finds, and what it says when it finds nothing."""

import dataclasses

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.estimation import Observation, Tracker, TrackerConfig, TrackingState
from drrobot_ros.estimation.manifold import exp_se3
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
T_BASE_CAMERA = look_at((1.35, 0.75, 0.75), (0.1, 0.0, 0.35))
Q = np.array([0.2, -0.6, 1.0, 0.3, 0.7, -0.3])
QUIET = TrackerConfig(budget_ms=0.0)


@dataclasses.dataclass(frozen=True)
class Clip:
    q: np.ndarray
    frames: list


@pytest.fixture(scope="module")
def clip(arm):
    """Twelve images at 30 Hz of an arm that moves 0.4 rad/s in every joint."""
    try:
        robot = SimulatedRobot(arm, CAMERA, T_BASE_CAMERA, SceneConfig(background="room"))
    except Exception as error:
        pytest.skip(f"no off-screen rendering: {error}")
    q = Q + 0.4 / 30 * np.arange(12)[:, None]
    frames = [robot.render(x) for x in q]
    robot.close()
    return Clip(q, frames)


@pytest.fixture(scope="module")
def gaussians(arm):
    return GaussianRobot.from_model(arm, count=6000, seed=0)


def see(clip, i, **planes):
    return Observation(clip.frames[i].rgb, CAMERA, i / 30, **planes)


def degrees(estimate, clip, i):
    return np.degrees(np.abs(estimate.q - clip.q[i]))


def off(q, angle_deg, seed=0):
    return q + np.radians(angle_deg) * np.random.default_rng(seed).choice([-1, 1], q.shape)


def test_finds_the_joints_from_ten_degrees_off_without_a_mask(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, QUIET)
    tracker.reset(off(clip.q[0], 10), T_BASE_CAMERA)
    for i in range(12):
        estimate = tracker.update(see(clip, i))
    assert estimate.state is TrackingState.TRACKING
    assert np.median(degrees(estimate, clip, 11)) < 1.0
    assert degrees(estimate, clip, 11).max() < 4.0
    assert estimate.stamp_s == pytest.approx(11 / 30)


def test_a_start_is_believed_as_far_as_it_is_said_to_be_known(arm, gaussians, clip):
    found = {}
    start = off(clip.q[0], 3)
    for sigma in (1e-4, 0.1):
        tracker = Tracker(
            arm, gaussians, dataclasses.replace(QUIET, start_sigma_rad=sigma, search_hypotheses=60)
        )
        tracker.reset(start, T_BASE_CAMERA)
        found[sigma] = tracker.update(see(clip, 0)).q
    assert np.degrees(np.abs(found[1e-4] - start)).max() < 0.3
    assert np.degrees(np.abs(found[0.1] - start)).max() > 2.0


def test_a_given_mask_makes_it_sharper(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, QUIET)
    tracker.reset(off(clip.q[0], 8, seed=1), T_BASE_CAMERA)
    for i in range(8):
        estimate = tracker.update(see(clip, i, mask=clip.frames[i].mask))
    assert estimate.state is TrackingState.TRACKING
    assert estimate.agreement > 0.95
    assert degrees(estimate, clip, 7).max() < 2.0


def test_photometric_residual_fits_gain_and_bias(arm, gaussians, clip):
    config = dataclasses.replace(QUIET, color_residual="photometric")
    tracker = Tracker(arm, gaussians, config)
    tracker.reset(off(clip.q[0], 2), T_BASE_CAMERA)
    for i in range(6):
        dim = (clip.frames[i].rgb * 0.6).astype(np.uint8)
        mask = clip.frames[i].mask
        estimate = tracker.update(Observation(dim, CAMERA, i / 30, mask=mask))
    assert degrees(estimate, clip, 5).max() < 2.5
    color, alpha, _ = tracker.render(estimate, CAMERA)
    inside = (alpha > 0.9) & clip.frames[5].mask
    plain = Tracker(arm, gaussians, QUIET).render(estimate, CAMERA)[0]
    fitted, unlit = (np.abs(c - dim / 255)[inside].mean() for c in (color, plain))
    assert fitted < 0.6 * unlit


def test_a_fixed_joint_configuration_is_kept_when_only_the_camera_is_wanted(arm, gaussians, clip):
    config = dataclasses.replace(QUIET, estimate_joints=False, estimate_camera=True)
    tracker = Tracker(arm, gaussians, config)
    wrong = T_BASE_CAMERA @ exp_se3(np.array([0.02, -0.01, 0.02, 0.015, -0.02, 0.01]))
    tracker.reset(clip.q[0], wrong)
    for _ in range(6):
        estimate = tracker.update(see(clip, 0, mask=clip.frames[0].mask))
    assert np.array_equal(estimate.q, clip.q[0])
    before = np.linalg.norm(wrong[:3, 3] - T_BASE_CAMERA[:3, 3])
    after = np.linalg.norm(estimate.T_base_camera[:3, 3] - T_BASE_CAMERA[:3, 3])
    assert after < 0.4 * before
    assert estimate.covariance.shape == (6, 6)
    assert (np.linalg.eigvalsh(estimate.camera_covariance) > 0).all()


def test_encoders_pull_by_their_noise(arm, gaussians, clip):
    offset = np.radians(3)
    errors = []
    for sigma in (1e-4, 1.0):
        tracker = Tracker(arm, gaussians, dataclasses.replace(QUIET, encoder_sigma_rad=sigma))
        tracker.reset(clip.q[0], T_BASE_CAMERA)
        for i in range(4):
            seen = see(clip, i, joint_positions=clip.q[i] + offset, mask=clip.frames[i].mask)
            estimate = tracker.update(seen)
        errors.append(degrees(estimate, clip, 3))
    assert np.allclose(errors[0], 3.0, atol=0.3)
    assert np.median(errors[1]) < 1.0


def test_unknown_encoders_are_not_numbers(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, dataclasses.replace(QUIET, encoder_sigma_rad=0.01))
    tracker.reset(clip.q[0], T_BASE_CAMERA)
    readings = clip.q[0].copy()
    readings[2] = np.nan
    estimate = tracker.update(see(clip, 0, joint_positions=readings))
    assert np.isfinite(estimate.q).all() and degrees(estimate, clip, 0).max() < 4.0


def test_depth_alone_holds_the_arm(arm, gaussians, clip):
    frame = clip.frames[0]
    config = dataclasses.replace(QUIET, search_hypotheses=0, use_mask=False)
    start = off(clip.q[0], 3)
    errors = []
    for depth in (None, frame.depth_m):
        grey = Observation(np.full_like(frame.rgb, 128), CAMERA, 0.0, depth_m=depth)
        tracker = Tracker(arm, gaussians, config)
        tracker.reset(start, T_BASE_CAMERA)
        errors.append(np.median(degrees(tracker.update(grey), clip, 0)))
    assert errors[0] > 2.5 and errors[1] < 0.5 * errors[0]


def test_limits_are_kept(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, QUIET)
    tracker.reset(arm.upper + 1.0, T_BASE_CAMERA)
    estimate = tracker.update(see(clip, 0))
    assert (estimate.q <= arm.upper).all() and (estimate.q >= arm.lower).all()


@pytest.mark.parametrize("kind", ["blank", "noise"])
def test_an_image_without_the_robot_is_not_believed(arm, gaussians, clip, kind):
    tracker = Tracker(arm, gaussians, dataclasses.replace(QUIET, lost_after=3))
    tracker.reset(clip.q[0], T_BASE_CAMERA)
    rng = np.random.default_rng(0)
    states = []
    for i in range(4):
        image = np.full_like(clip.frames[0].rgb, 90)
        if kind == "noise":
            image = rng.integers(0, 255, image.shape).astype(np.uint8)
        states.append(tracker.update(Observation(image, CAMERA, i / 30)).state)
    assert states[0] is TrackingState.UNCERTAIN
    assert TrackingState.LOST in states and TrackingState.TRACKING not in states


def test_recovers_after_the_view_was_blocked(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, dataclasses.replace(QUIET, lost_after=3))
    tracker.reset(clip.q[0], T_BASE_CAMERA)
    assert tracker.update(see(clip, 0)).state is TrackingState.TRACKING
    blank = np.full_like(clip.frames[0].rgb, 90)
    blocked = [tracker.update(Observation(blank, CAMERA, 0.1 + i / 30)).state for i in range(5)]
    assert TrackingState.LOST in blocked
    later = [
        tracker.update(Observation(clip.frames[4].rgb, CAMERA, 1.0 + i / 30)) for i in range(5)
    ]
    assert later[-1].state is TrackingState.TRACKING
    assert np.median(np.degrees(np.abs(later[-1].q - clip.q[4]))) < 1.5


def test_ignored_pixels_do_not_lead_astray(arm, gaussians, clip):
    frame = clip.frames[0]
    hidden = np.zeros(frame.mask.shape, bool)
    hidden[: int(np.median(np.nonzero(frame.mask)[0]))] = True
    spoiled = frame.mask ^ hidden
    errors = []
    for ignore in (None, hidden):
        tracker = Tracker(arm, gaussians, dataclasses.replace(QUIET, search_hypotheses=0))
        tracker.reset(off(clip.q[0], 2), T_BASE_CAMERA)
        seen = see(clip, 0, mask=spoiled, ignore_mask=ignore)
        errors.append(degrees(tracker.update(seen), clip, 0).max())
    assert errors[1] < 4.0 < errors[0]


def test_a_clock_that_jumps_back_is_survived(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, QUIET)
    tracker.reset(clip.q[0], T_BASE_CAMERA)
    tracker.update(Observation(clip.frames[0].rgb, CAMERA, 100.0))
    estimate = tracker.update(Observation(clip.frames[1].rgb, CAMERA, 1.0))
    assert estimate.stamp_s == 1.0 and estimate.state is TrackingState.TRACKING


def test_render_covers_the_robot_of_the_image(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, QUIET)
    tracker.reset(clip.q[0], T_BASE_CAMERA)
    estimate = tracker.update(see(clip, 0, mask=clip.frames[0].mask))
    color, alpha, depth = tracker.render(estimate, CAMERA)
    mask = clip.frames[0].mask
    overlap = np.minimum(alpha, mask).sum() / np.maximum(alpha, mask).sum()
    assert overlap > 0.93
    both = mask & (depth > 0)
    # Splats lie a little inward, and a little of the back shows through.
    assert np.median(np.abs(depth - clip.frames[0].depth_m)[both]) < 0.015
    assert color.min() >= 0 and color.max() <= 1


def test_standard_deviations_are_larger_for_what_is_seen_less(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, QUIET)
    tracker.reset(clip.q[0], T_BASE_CAMERA)
    estimate = tracker.update(see(clip, 0))
    assert (estimate.q_std > 0).all()
    assert estimate.q_std[-1] > estimate.q_std[:3].max()


def test_bad_input_is_refused_and_changes_nothing(arm, gaussians, clip):
    tracker = Tracker(arm, gaussians, QUIET)
    with pytest.raises(InputError, match="camera pose is unknown"):
        tracker.update(see(clip, 0))
    with pytest.raises(InputError, match="q must be 6 finite numbers"):
        tracker.reset(np.zeros(5))
    with pytest.raises(InputError, match="rotation matrix"):
        tracker.reset(T_base_camera=np.diag([2.0, 1, 1, 1]))
    tracker.reset(clip.q[0], T_BASE_CAMERA)
    with pytest.raises(InputError, match="joint_positions must be 6"):
        tracker.update(see(clip, 0, joint_positions=np.zeros(3)))
    with pytest.raises(InputError, match="the camera says"):
        Observation(clip.frames[0].rgb[:-1], CAMERA, 0.0)
    with pytest.raises(InputError, match="mask is"):
        see(clip, 0, mask=np.zeros((2, 2), bool))
    assert tracker.update(see(clip, 0)).state is TrackingState.TRACKING
