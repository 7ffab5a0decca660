"""Grasps on reconstructed scenes: candidates, physics, and a safe motion of arm and gripper."""
