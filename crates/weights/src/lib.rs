//! Named tensors on disk: safetensors, PyTorch checkpoints, trained networks.
