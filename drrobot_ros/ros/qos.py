"""Qualities of service, by what a topic carries (REP 2003); users override them from yaml."""

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

#: Camera topics we read: only the newest matters, any publisher matches.
IMAGE_INPUT = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=1
)
#: Joint states and tf we read.
STREAM_INPUT = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=50
)
#: Values published once that late subscribers must see: robot_description, /tf_static.
LATCHED = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
)
#: /tf_static as read: every broadcaster's last message.
LATCHED_MANY = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
)
#: What we publish: reliable matches every subscriber, RViz's too.
OUTPUT = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=5
)
#: /tf, as tf2_ros has it.
TF = QoSProfile(reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=100)


def overridable() -> QoSOverridingOptions:
    """Return options that let yaml change a profile: ``qos_overrides.<topic>.<role>.<policy>``."""
    return QoSOverridingOptions.with_default_policies()
