//! Descriptions beside a file of weights: `config.json` of Hugging Face's transformers and of timm,
//! `preprocessor_config.json`, and lists of class names.

mod class_list;
mod description;
mod timm;
mod transformers;

pub(crate) use class_list::ClassList;
pub(crate) use description::Description;
pub(crate) use transformers::network as transformers_network;
