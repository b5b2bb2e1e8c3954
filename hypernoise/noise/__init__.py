"""The paper: noise hypernetworks, their objective and their training."""
