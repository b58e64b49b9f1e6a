//! Descriptions beside a published file of weights: `config.json` of Hugging Face's transformers and of timm,
//! `preprocessor_config.json`.

mod description;
mod timm;
mod transformers;

pub(crate) use description::Description;
pub(crate) use transformers::network as transformers_network;
