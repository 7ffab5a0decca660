"""Feedback and result of the action OptimizeJointTarget."""

import math
from typing import Any

import numpy as np

from drrobot_msgs.action import OptimizeJointTarget
from drrobot_ros.ros.calibrate_messages import compressed
from drrobot_ros.ros.control_run import News, Outcome
from drrobot_ros.ros.joints import JointNames


def feedback_of(
    news: News, names: JointNames, elapsed_s: float, following_error: float, width: int
) -> Any:
    """Return the feedback of what a run does.

    Args:
        news: of the run.
        names: of the joints.
        elapsed_s: since the goal was accepted.
        following_error: of the arm, NaN where it does not move.
        width: of the preview; 0: none.
    """
    message = OptimizeJointTarget.Feedback(
        stage=news.stage, text=news.text, elapsed_s=elapsed_s, following_error=following_error
    )
    message.percent = float(news.percent)
    if news.target is not None:
        message.joint_names = list(names.index)
        message.target = names.positions(news.target)
    progress = news.progress
    if progress is not None:
        message.step, message.cost = int(progress.step), float(progress.cost)
        message.loss_names = list(progress.terms)
        message.losses = [float(x) for x in progress.terms.values()]
        if width > 0 and progress.picture is not None:
            message.preview = compressed(np.asarray(progress.picture()), width)
    return message


def result_of(outcome: Outcome, names: JointNames, width: int) -> Any:
    """Return the result of a run that ended."""
    done = (OptimizeJointTarget.Result.PLANNED, OptimizeJointTarget.Result.EXECUTED)
    message = OptimizeJointTarget.Result(outcome=outcome.code, message=outcome.message)
    message.success = outcome.code in done
    message.nearest = math.nan
    if outcome.offsets is not None:
        message.offsets = names.positions(outcome.offsets)
    if outcome.trajectory is not None:
        message.trajectory = outcome.trajectory
    if outcome.report is not None:
        message.nearest = float(outcome.report.nearest.spare_m)
    plan = outcome.plan
    if plan is None:
        return message
    message.stop_reason = str(plan.stop_reason.value)
    message.joint_names = list(names.index)
    message.target = names.positions(plan.q[-1])
    message.loss_names = list(plan.terms)
    message.losses = [float(x) for x in plan.terms.values()]
    message.start_losses = [float(plan.start_terms.get(n, math.nan)) for n in plan.terms]
    message.cost, message.start_cost = float(plan.cost), float(plan.start_cost)
    if width > 0:
        message.picture_names = list(plan.pictures)
        message.pictures = [compressed(np.asarray(p), width) for p in plan.pictures.values()]
    return message
