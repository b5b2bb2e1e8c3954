"""DPG-Bench (Hu et al. 2024): dense prompts, judged by questions that depend on each other."""
