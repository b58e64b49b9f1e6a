//! Models as other libraries load them.
//!
//! | function | for |
//! | --- | --- |
//! | [`safetensors`](fn@safetensors) | `load_state_dict(safetensors.torch.load_file(...), strict=True)` |
//! | [`torch`](fn@torch) | `load_state_dict(torch.load(..., weights_only=True), strict=True)` |
//! | [`timm`](fn@timm) | `timm.create_model("local-dir:FOLDER", pretrained=True)` |
//! | [`transformers`](fn@transformers) | `AutoModelForImageClassification.from_pretrained("FOLDER")` |
//!
//! PyTorch's batch norms count batches in `num_batches_tracked`, which a network does not compute with; a state dict
//! without them is loaded strictly all the same, and the counters start at 0.

mod crop;
mod plain;
mod timm;
mod torch;
mod transformers;

pub use plain::safetensors;
pub use timm::timm;
pub use torch::torch;
pub use transformers::transformers;
