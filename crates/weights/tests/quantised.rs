//! Files in 8 bits: what is written comes back, and what is damaged is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use residual_arch::{LayerOp, LayerPath, Network, Norm, families::family};
use residual_weights::{Checkpoint, Error, MapScale, Model, QuantConv, Quantised, Tensor, Weights};
use serde_json::{Value, json};

fn path(text: &str) -> LayerPath {
    text.parse().unwrap()
}

/// A network with values that differ.
fn model() -> Model {
    let network = family("cifar_resnet8").unwrap().with_classes(3).check([3, 32, 32]).unwrap();
    let mut number = 0_u32;
    let mut value = || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        0.25 + (number >> 16) as f32 / 65536.0
    };
    let tensors = network.tensors().map(|(path, tensor)| {
        let elements = tensor.shape.iter().product::<usize>();
        (path, Tensor::new(tensor.shape, (0..elements).map(|_| value()).collect()).unwrap())
    });
    let tensors: Vec<_> = tensors.collect();
    Model::new(network, tensors).unwrap().with_classes(["a", "b", "c"].map(String::from).into()).unwrap()
}

/// Norm that reads the layer number `at`.
fn norm_behind(network: &Network, at: usize) -> Option<LayerPath> {
    let next = network.layers().get(at + 1)?;
    matches!(next.op(), LayerOp::Norm(Norm::Batch { .. })).then(|| next.path())
}

fn quantised(model: &Model) -> Quantised {
    let mut quantised =
        Quantised { input: Some(MapScale { scale: 0.02, zero: 120 }), ..Quantised::default() };
    for (at, layer) in model.network().layers().iter().enumerate() {
        let (outs, weights) = match *layer.op() {
            LayerOp::Conv(conv) => {
                (conv.out_channels, conv.out_channels * conv.in_channels * conv.kernel * conv.kernel)
            }
            LayerOp::Linear { inputs, outputs } => (outputs, inputs * outputs),
            _ => continue,
        };
        let is_linear = matches!(layer.op(), LayerOp::Linear { .. });
        let bias = match is_linear {
            true => model.tensor("head.linear.bias".parse().unwrap()).unwrap().data().to_vec(),
            false => (0..outs).map(|o| o as f32 - 1.5).collect(),
        };
        let conv = QuantConv {
            weights: (0..weights).map(|at| (at * 7 % 255) as i16 as i8).map(|w| w.max(-127)).collect(),
            scale: (0..outs).map(|o| 0.01 + o as f32).collect(),
            bias,
            norm: if is_linear { None } else { norm_behind(model.network(), at) },
        };
        quantised.convs.insert(layer.path(), Arc::new(conv));
        if !is_linear {
            quantised.maps.insert(layer.path(), MapScale { scale: 0.1 + at as f32, zero: 0 });
        }
    }
    quantised
}

struct Bench {
    folder: tempfile::TempDir,
    model: Model,
}

impl Bench {
    fn new() -> Self {
        let model = model();
        let of = quantised(&model);
        Self { folder: tempfile::tempdir().unwrap(), model: model.with_quantised(of).unwrap() }
    }

    fn written(&self) -> PathBuf {
        let file = self.folder.path().join("q.safetensors");
        self.model.save(&file).unwrap();
        file
    }

    /// Error of a file whose header and data were changed.
    fn refused(&self, change: impl FnOnce(&mut BTreeMap<String, Value>, &mut Vec<u8>)) -> String {
        let file = self.written();
        let bytes = fs::read(&file).unwrap();
        let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let mut data = bytes[8 + length..].to_vec();
        change(&mut header, &mut data);
        let header = serde_json::to_vec(&header).unwrap();
        let length = (header.len() as u64).to_le_bytes();
        fs::write(&file, [&length[..], &header, &data].concat()).unwrap();
        let error = Model::open(&file).unwrap_err().to_string();
        assert!(error.contains("q.safetensors"), "{error}");
        error
    }

    /// Error of a file whose description was changed.
    fn refused_description(&self, change: impl FnOnce(&mut Value)) -> String {
        self.refused(|header, _| {
            let text = &mut header.get_mut("__metadata__").unwrap()["residual.quantised"];
            let mut description: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
            change(&mut description);
            *text = Value::String(description.to_string());
        })
    }
}

fn offsets(header: &BTreeMap<String, Value>, name: &str) -> usize {
    header[name]["data_offsets"][0].as_u64().unwrap() as usize
}

#[test]
fn a_model_in_8_bits_comes_back() {
    let bench = Bench::new();
    let file = bench.written();
    let opened = Model::open(&file).unwrap();
    assert_eq!(opened.quantised(), bench.model.quantised());
    assert_eq!(opened, bench.model);
    assert_eq!(Model::from_bytes(&fs::read(&file).unwrap()).unwrap(), bench.model);
    let float = self::model().save(bench.folder.path().join("f.safetensors"));
    float.unwrap();
    let size = |name: &str| fs::metadata(bench.folder.path().join(name)).unwrap().len() as f64;
    assert!(size("q.safetensors") < 0.35 * size("f.safetensors"));
    // The floats are those that the integers stand for, behind norms that change nothing but for the bias.
    let conv = opened.quantised().unwrap().conv(path("stem.conv0")).unwrap().clone();
    let weight = opened.tensor("stem.conv0.weight".parse().unwrap()).unwrap();
    assert_eq!(weight.data()[30], conv.scale[1] * f32::from(conv.weights[30]));
    let bias = opened.tensor("stem.norm0.bias".parse().unwrap()).unwrap();
    assert_eq!(bias.data(), conv.bias);
}

#[test]
fn a_temperature_is_written_without_a_change_of_the_integers() {
    let bench = Bench::new();
    let file = bench.written();
    Checkpoint::read(&file).unwrap().with_temperature(Some(1.5)).unwrap().write(&file).unwrap();
    let opened = Model::open(&file).unwrap();
    assert_eq!((opened.quantised(), opened.temperature()), (bench.model.quantised(), Some(1.5)));
}

#[test]
fn a_network_in_8_bits_is_not_renamed_and_not_made_a_state_dict() {
    let bench = Bench::new();
    let file = bench.written();
    let error = bench.model.to_state_dict(bench.model.naming()).unwrap_err();
    assert!(matches!(error, Error::InEightBits), "{error}");
    let Weights::Trained(trained) = Weights::read(&file).unwrap() else { panic!() };
    let spec = trained.spec.clone();
    assert!(matches!(trained.clone().renamed(residual_arch::Naming::Timm), Err(Error::InEightBits)));
    assert!(matches!(Model::from_state_dict(&spec, trained.tensors), Err(Error::InEightBits)));
}

#[test]
fn damaged_integers_and_scales_are_refused_by_name() {
    let bench = Bench::new();
    let scale = "conv1.weight_scale";
    for bits in [0.0_f32, -1.0, f32::NAN, f32::INFINITY] {
        let error = bench.refused(|header, data| {
            let at = offsets(header, scale);
            data[at..at + 4].copy_from_slice(&bits.to_le_bytes());
        });
        assert!(error.contains("stem.conv0 has the weight scale"), "{error}");
    }
    let error = bench.refused(|header, data| {
        let at = offsets(header, "conv1.bias");
        data[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert!(error.contains("stem.conv0 has the bias NaN"), "{error}");
    let error = bench.refused(|header, data| {
        let at = offsets(header, "conv1.weight");
        data[at] = 0x80;
    });
    assert!(error.contains("stem.conv0 has the weight -128"), "{error}");
    let error = bench.refused(|header, _| header.get_mut("conv1.weight").unwrap()["dtype"] = json!("U8"));
    assert!(error.contains("conv1.weight has scales, and is not int8"), "{error}");
    let error = bench.refused(|header, _| {
        let moved = header.remove(scale).unwrap();
        header.insert("elsewhere".to_owned(), moved);
    });
    assert!(error.contains("conv1.weight has no conv1.weight_scale"), "{error}");
    let error =
        bench.refused(|header, _| header.get_mut("conv1.weight").unwrap()["shape"] = json!([3, 16, 3, 3]));
    assert!(error.contains("conv1.weight is of shape [3, 16, 3, 3]; expected [16, 3, 3, 3]"), "{error}");
    let error = bench.refused(|header, _| header.get_mut(scale).unwrap()["shape"] = json!([4, 4]));
    assert!(error.contains("conv1.weight_scale is of shape [4, 4]; expected [16]"), "{error}");
}

#[test]
fn a_damaged_description_is_refused_by_name() {
    let bench = Bench::new();
    for (scale, wanted) in [
        (json!({"scale": 0.0, "zero": 0}), "the map stem.conv0 has the scale 0"),
        (json!({"scale": -1.0, "zero": 0}), "the map stem.conv0 has the scale -1"),
        (json!({"scale": 1e300, "zero": 0}), "residual.quantised"),
        (json!({"scale": null, "zero": 0}), "residual.quantised"),
        (json!({"scale": 1.0, "zero": 256}), "256"),
        (json!({"scale": 1.0, "zero": -1}), "-1"),
        (json!({"scale": 1.0}), "zero"),
    ] {
        let error = bench.refused_description(|text| text["maps"]["stem.conv0"] = scale);
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let error = bench
        .refused_description(|text| text["maps"]["stage9.block0.conv1"] = json!({"scale": 1, "zero": 0}));
    assert!(error.contains("stage9.block0.conv1 is no layer of the network"), "{error}");
    let error = bench.refused_description(|text| text["maps"]["nowhere"] = json!({"scale": 1, "zero": 0}));
    assert!(error.contains("nowhere"), "{error}");
    let error = bench.refused_description(|text| text["norms"]["stem.conv0"] = json!("stage1.block0.norm1"));
    assert!(error.contains("stem.conv0 is folded with stage1.block0.norm1"), "{error}");
    // A norm that is neither folded in nor there.
    let error =
        bench.refused_description(|text| drop(text["norms"].as_object_mut().unwrap().remove("stem.conv0")));
    assert!(error.contains("bn1.weight"), "{error}");
    let error = bench.refused_description(|text| text["more"] = json!(1));
    assert!(error.contains("more"), "{error}");
    let error =
        bench.refused(|header, _| header.get_mut("__metadata__").unwrap()["residual.version"] = json!("1"));
    assert!(error.contains("found 1, expected 2"), "{error}");
}

#[test]
fn integers_that_do_not_fit_a_network_are_refused() {
    let model = model();
    let refused = |change: &dyn Fn(&mut Quantised)| {
        let mut quantised = quantised(&model);
        change(&mut quantised);
        model.clone().with_quantised(quantised).unwrap_err().to_string()
    };
    let conv = |quantised: &mut Quantised, change: &dyn Fn(&mut QuantConv)| {
        change(Arc::make_mut(quantised.convs.get_mut(&path("stem.conv0")).unwrap()));
    };
    let error = refused(&|quantised| conv(quantised, &|conv| _ = conv.weights.pop()));
    assert!(error.contains("has 431 weights, 16 scales and 16 biases; expected 432, 16 and 16"), "{error}");
    let error = refused(&|quantised| drop(quantised.convs.insert(path("stem.norm0"), Arc::default())));
    assert!(error.contains("stem.norm0 is no convolution"), "{error}");
    let error = refused(&|quantised| quantised.input = Some(MapScale { scale: f32::NAN, zero: 0 }));
    assert!(error.contains("the map of the images has the scale NaN"), "{error}");
}
