//! What tensors seem to be that are no residual network's.

use crate::state_dict::StateDict;

/// Kinds of networks by parts of their tensors' names: all parts of a row must be there. The first row that fits is
/// taken, so that the special stand before the general.
const KINDS: [(&[&str], &str); 45] = [
    (&["lora_A"], "a LoRA adapter, which changes the weights of another network"),
    (&["lora_down"], "a LoRA adapter, which changes the weights of another network"),
    (&["model.diffusion_model."], "a Stable Diffusion checkpoint"),
    (&["double_blocks.", "single_blocks."], "a diffusion transformer (Flux)"),
    (&["transformer_blocks.", "time_text_embed"], "a diffusion transformer"),
    (&["transformer_blocks.", "adaln_single"], "a diffusion transformer"),
    (&["down_blocks.", "up_blocks.", "time_embedding"], "a diffusion UNet of diffusers"),
    (&["encoder.down_blocks.", "decoder.up_blocks."], "a variational autoencoder of diffusers"),
    (&["encoder.down.", "decoder.up."], "a variational autoencoder"),
    (&["text_model.", "vision_model."], "a CLIP model of images and text"),
    (&["visual.", "token_embedding"], "a CLIP model of images and text"),
    (&["embed_tokens", "self_attn"], "a language model (a transformer)"),
    (&["mlp.gate_proj", "self_attn"], "a language model (a transformer)"),
    (&["wte.weight", "attn.c_attn"], "a language model (GPT-2)"),
    (&["word_embeddings", "attention"], "a language model (BERT or one like it)"),
    (&["feature_projection", "encoder.layers"], "a speech model (wav2vec 2.0)"),
    (&["relative_position_bias_table"], "a Swin transformer"),
    (&["patch_embeddings", "attention"], "a vision transformer (ViT)"),
    (&["cls_token", "blocks."], "a vision transformer (ViT)"),
    (&["patch_embed", "attn"], "a vision transformer"),
    (&["class_token", "encoder.layers"], "a vision transformer (ViT)"),
    (&["detector", "backbone"], "a detector"),
    (&["rpn.head", "roi_heads"], "a detector (Faster R-CNN)"),
    (&["self_attn", "linear1"], "a transformer"),
    (&["self_attn"], "a transformer"),
    (&["attn.qkv"], "a transformer"),
    (&["dwconv", "pwconv1"], "a ConvNeXt"),
    (&["conv_dw", "mlp.fc1"], "a ConvNeXt"),
    (&["layer_scale", "features."], "a ConvNeXt"),
    (&["denseblock"], "a DenseNet"),
    (&["dense_block"], "a DenseNet"),
    (&["inception"], "an Inception network (GoogLeNet)"),
    (&["Mixed_"], "an Inception network"),
    (&["squeeze.weight", "expand1x1"], "a SqueezeNet"),
    (&["trunk_output", "block"], "a RegNet"),
    (&["conv_dw", "conv_pw"], "a MobileNet or an EfficientNet"),
    (&["features.", "conv.0.0.weight"], "a MobileNet"),
    (&["features.", "block.0.0.weight"], "a MobileNet or an EfficientNet"),
    (&["_blocks.", "_depthwise_conv"], "an EfficientNet"),
    (&["branch1.", "stage2."], "a ShuffleNet"),
    (&["features.", "classifier.6.weight"], "a VGG or an AlexNet"),
    (&["features.0.weight", "pre_logits."], "a VGG"),
    (&["cv1.conv", "cv2.conv"], "a detector (YOLO)"),
    (&["inc.", "down1.", "up1."], "a U-Net"),
    (&["weight_ih_l0"], "a recurrent network"),
];

/// Kind of network that tensors seem to be of, by their names; `None` where they say nothing.
pub(crate) fn seems(state: &StateDict) -> Option<&'static str> {
    let has = |part: &&str| state.names().any(|name| name.contains(part));
    KINDS.iter().find(|(parts, _)| parts.iter().all(has)).map(|&(_, kind)| kind)
}
