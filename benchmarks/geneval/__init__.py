"""GenEval (Ghosh et al. 2023): object-focused prompts, judged by a detector and a color classifier."""
