"""A page to look at: tables, figures and all images of some stored runs in one HTML file that needs nothing else."""
