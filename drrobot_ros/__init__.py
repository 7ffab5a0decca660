"""Live robot perception and control by differentiable rendering."""
