"""Rewards: differentiable scores of an image for a prompt, higher is better."""
