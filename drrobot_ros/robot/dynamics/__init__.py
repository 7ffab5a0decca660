"""Dynamics of a kinematic tree: inverse, forward, mass matrix; in C++ and in torch."""
