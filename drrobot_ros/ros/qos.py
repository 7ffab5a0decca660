"""Qualities of service, by what a topic carries (REP 2003); users override them from yaml."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
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


def publisher(node: Node, kind: type, topic: str, profile: QoSProfile) -> Any:
    """Return a publisher whose profile yaml can change: ``qos_overrides.<topic>.publisher.*``."""
    options = QoSOverridingOptions.with_default_policies()
    return node.create_publisher(kind, topic, profile, qos_overriding_options=options)


def subscribe(
    node: Node, kind: type, topic: str, callback: Callable[[Any], None], profile: QoSProfile
) -> Any:
    """Subscribe; yaml can change the profile: ``qos_overrides.<topic>.subscription.*``."""
    options = QoSOverridingOptions.with_default_policies()
    return node.create_subscription(kind, topic, callback, profile, qos_overriding_options=options)
