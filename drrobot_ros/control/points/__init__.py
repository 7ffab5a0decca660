"""Points followed on images: files of tracks, trackers, and the points of a robot."""
