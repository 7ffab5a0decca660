"""Training of a robot's self-model: dataset, losses, trainer, evaluation."""
