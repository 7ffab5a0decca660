"""Text and images in one space: what tells how well a picture of the robot fits a sentence."""
