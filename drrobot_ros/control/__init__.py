"""From a wish to a safe motion of the arm: objectives, optimizers, limits and collisions."""
