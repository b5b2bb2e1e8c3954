"""The prompt sets that noise hypernetworks are trained on."""
