//! A trained network.

use residual_kernels::Isa;
use residual_predict::{AnswerLine, Classifier, Input, Model, Options, Prediction};
use residual_weights::Tensor;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::picture::{Picture, of_canvas};

/// A trained network, compiled for this machine.
///
/// An image is given as the bytes of its file (JPEG, PNG, WebP, BMP, GIF, TIFF, `.npy`), or as the pixels of a canvas.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Network {
    classifier: Classifier,
}

#[wasm_bindgen]
impl Network {
    /// Network of the bytes of a file of weights: safetensors or PyTorch's, as `residual predict --weights` takes them;
    /// `name` is that of the network where the file does not tell it.
    ///
    /// # Errors
    /// For a file that holds no network's weights, and for a network that does not fit into memory.
    #[wasm_bindgen(constructor)]
    pub fn new(weights: Vec<u8>, name: Option<String>) -> Result<Self, JsError> {
        let model = match name {
            Some(name) => Model::from_bytes_as(&weights, name),
            None => Model::from_bytes(&weights),
        };
        // The tensors are copies; the packed weights are to take the file's place.
        drop(weights);
        let classifier = Classifier::new(model?, Options::new().threads(1).batch(1))?;
        Ok(Self { classifier })
    }

    /// Description of the network, as JSON: its name, input, classes, parameters, operations, the rows of its table, and
    /// the parts that [`Network::explain`] takes.
    ///
    /// # Errors
    /// None that is known.
    pub fn description(&self) -> Result<String, JsError> {
        Ok(serde_json::to_string(&self.classifier.description())?)
    }

    /// Answer about an image file, as JSON: its `top` most probable classes as `residual predict --json` prints them, and
    /// if `logits`, the logits of all.
    ///
    /// # Errors
    /// For an image that cannot be decoded or brought to size, and for an answer that is not finite.
    pub fn classify(&self, file: &[u8], top: usize, logits: bool) -> Result<String, JsError> {
        answer(&self.classifier.classify(file)?, top, logits)
    }

    /// Answer about the pixels of a canvas (`ImageData.data`), as [`Network::classify`].
    ///
    /// # Errors
    /// As for [`Network::classify`], and where there are not four bytes for each pixel.
    #[wasm_bindgen(js_name = classifyPixels)]
    pub fn classify_pixels(
        &self,
        rgba: &[u8],
        width: u32,
        height: u32,
        top: usize,
        logits: bool,
    ) -> Result<String, JsError> {
        answer(&self.classifier.classify(of_canvas(rgba, width, height)?)?, top, logits)
    }

    /// Logits of normalised values, `[channels][height][width]`: for images that were prepared elsewhere, and for
    /// measuring.
    ///
    /// # Errors
    /// Where the values are not the network's input.
    pub fn logits(&self, values: Vec<f32>) -> Result<Vec<f32>, JsError> {
        let tensor = Tensor::new(self.classifier.input().to_vec(), values)?;
        Ok(self.classifier.classify(tensor)?.logits().to_vec())
    }

    /// Embedding of an image file: the vector that the head's linear layer reads.
    ///
    /// # Errors
    /// As for [`Network::classify`].
    pub fn embed(&self, file: &[u8]) -> Result<Vec<f32>, JsError> {
        Ok(self.classifier.embed(file)?)
    }

    /// Picture of an image in grey, and over it in colour where a class is seen (its name or number; without one the most
    /// probable), or where a part of the network is active.
    ///
    /// # Errors
    /// As for [`Network::classify`]; for a class and a part that the network does not have, and for both together.
    pub fn explain(
        &self,
        file: &[u8],
        class: Option<String>,
        layer: Option<String>,
    ) -> Result<Picture, JsError> {
        let prepared = self.classifier.prepare_image(file)?;
        let image = prepared.image().cloned();
        let input = Input::from(prepared);
        let map = match (class, layer) {
            (Some(_), Some(_)) => return Err(JsError::new("both class and layer")),
            (Some(class), None) => {
                let number = self.classifier.class_number(&class);
                let unknown = || JsError::new(&format!("class `{class}`: the network has no such class"));
                self.classifier.heat_map(input, number.ok_or_else(unknown)?)?
            }
            (None, Some(layer)) => self.classifier.features(input, &layer)?.strength(),
            (None, None) => self.classifier.explain(input)?.map,
        };
        let drawn = image.as_ref().and_then(|image| map.over(image));
        let drawn =
            drawn.ok_or_else(|| JsError::new("an image that is neither grey nor of three colours"))?;
        Ok(Picture::from(&drawn))
    }
}

/// Name of the instruction set that networks run on: `simd128`, or `portable` where the module was compiled without it.
///
/// # Errors
/// None that is known.
#[wasm_bindgen(js_name = instructionSet)]
pub fn instruction_set() -> Result<String, JsError> {
    Ok(Isa::detect()?.name().to_owned())
}

fn answer(found: &Prediction, top: usize, logits: bool) -> Result<String, JsError> {
    Ok(serde_json::to_string(&AnswerLine::new("", found, top, logits))?)
}
