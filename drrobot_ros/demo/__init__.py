"""The demonstration: a simulated arm and the estimator as processes, recorded and reported."""
