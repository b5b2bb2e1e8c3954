"""T2I-CompBench (Huang et al. 2023): attribute binding, judged by questions about the prompt's noun phrases."""
