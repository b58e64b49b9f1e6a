//! ONNX: any bytes are a model or an error, and a model that is read is written and read as one that computes the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use residual_onnx::{ExportOptions, ImportOptions, export, import, import_bytes};

fuzz_target!(|bytes: &[u8]| {
    let options = ImportOptions::default().with(|options| options.size = 32);
    let Ok(imported) = import_bytes(bytes.to_vec(), &options) else { return };
    residual_fuzz::in_folder(|folder| {
        let path = folder.join("x.onnx");
        let kept = ExportOptions::default().with(|options| options.keep_norms = true);
        export(&imported.model, &path, &kept).expect("a model that was read");
        let again = import(&path, &options).expect("a graph that was written").model;
        assert!(again.spec().computes_as(imported.model.spec()));
    });
});
