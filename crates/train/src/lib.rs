//! Training residual networks: recipe, schedule, loop, checkpoints, evaluation.
