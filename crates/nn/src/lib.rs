//! Residual networks as Burn modules: blocks, stages, whole networks, and residuals beyond CNNs.
