"""An action that works on one goal at a time."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node
from rclpy.task import Future

from drrobot_ros.errors import InputError
from drrobot_ros.ros.diagnostics import WARN, Diagnostics

Work = TypeVar("Work")


class GoalServer(Generic[Work]):
    """Takes goals, one at a time, and gives their results.

    Its callbacks come from the node's executor; `tell` and `end` may be called from any thread.

    Args:
        node: whose action it is.
        action: its type.
        name: its name, below the node's own.
        diagnostics: is told of goals that came to nothing, under the action's name.
        begin: (goal handle) -> what is worked on; raises InputError where it cannot be done.
        start: (work), once `work` is set.
        refused: (why) -> result of a goal that could not begin.
        cancel: (work, why): it is to end; called at once, whoever asks for it. The work then ends
            through `end` as any other does.
        preempts: (request) -> whether a goal may end the one before it.
        busy: () -> whether no goal can begin yet, though none is worked on any more.
        rejection: of a goal that comes while another is worked on, for people.
    """

    def __init__(
        self,
        node: Node,
        action: Any,
        name: str,
        *,
        diagnostics: Diagnostics,
        begin: Callable[[Any], Work],
        start: Callable[[Work], None],
        refused: Callable[[str], Any],
        cancel: Callable[[Work, str], None] = lambda *_: None,
        preempts: Callable[[Any], bool] = lambda _: False,
        busy: Callable[[], bool] = lambda: False,
        rejection: str = "another is being worked on; cancel it first",
    ) -> None:
        self._node, self._name, self._diagnostics = node, name, diagnostics
        self._begin, self._start, self._refused = begin, start, refused
        self._cancel, self._preempts, self._busy = cancel, preempts, busy
        self._rejection = f"a goal was rejected: {rejection}"
        self._current: tuple[Any, Work, Future] | None = None
        self._waiting = False
        self._lock = threading.Lock()
        self._server = ActionServer(
            node,
            action,
            f"~/{name}",
            execute_callback=self._execute,
            goal_callback=self._may_start,
            cancel_callback=self._cancelled,
        )

    @property
    def work(self) -> Work | None:
        """What is worked on."""
        current = self._current
        return None if current is None else current[1]

    def stop(self, why: str) -> None:
        """Have the work under way end, if there is any."""
        work = self.work
        if work is not None:
            self._cancel(work, why)

    def tell(self, feedback: Any) -> None:
        """Publish feedback, while there is a goal to tell it of."""
        with self._lock:
            if self._current is not None and self._current[0].is_active:
                self._current[0].publish_feedback(feedback)

    def end(self, result: Any, message: str, *, success: bool, fault: bool = True) -> None:
        """End the goal.

        Args:
            result: of the action.
            message: what came of it, for people.
            success: it succeeds; else it was cancelled, if somebody asked for that, or aborts.
            fault: that it was aborted is something to be told of on /diagnostics.
        """
        with self._lock:
            if self._current is None:
                return
            (goal, _, done), self._current = self._current, None
        self._close(goal, message, success=success, fault=fault)
        done.set_result(result)

    def _close(self, goal: Any, message: str, *, success: bool, fault: bool) -> None:
        if success:
            goal.succeed()
        elif goal.is_cancel_requested:
            goal.canceled()
            fault = False
        else:
            goal.abort()
        if fault and not success:
            self._diagnostics.fault(self._name, message)
        else:
            self._diagnostics.good(self._name)
            self._node.get_logger().info(message)

    def _may_start(self, request: Any) -> GoalResponse:
        taken = self._current is not None and not self._preempts(request)
        if not (taken or self._waiting or self._busy()):
            return GoalResponse.ACCEPT
        self._diagnostics.fault(self._name, self._rejection, WARN)
        return GoalResponse.REJECT

    def _cancelled(self, goal: Any) -> CancelResponse:
        current = self._current
        if current is not None and current[0].goal_id == goal.goal_id:
            self._cancel(current[1], "canceled")  # here and now: an arm is not to wait for a timer
        return CancelResponse.ACCEPT

    async def _execute(self, goal: Any) -> Any:
        before = self._current
        if before is not None:
            self._waiting = True
            self._cancel(before[1], "preempted by another goal")
            await before[2]
            self._waiting = False
        try:
            work = self._begin(goal)
        except InputError as error:
            self._close(goal, str(error), success=False, fault=True)
            return self._refused(str(error))
        done = Future()
        self._current = goal, work, done
        self._start(work)
        return await done
