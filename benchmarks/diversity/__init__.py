"""Diversity of the images of one prompt (paper, C.2): LPIPS distance and DINOv2 similarity over all pairs of seeds."""
