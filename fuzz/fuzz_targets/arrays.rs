//! IDX files and arrays of NumPy as data: the first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// IDX labels 0, 1, 0, 1.
const LABELS: [u8; 12] = [0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1];
/// IDX images of four times 1x1 pixels.
const IMAGES: [u8; 20] = [0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4];

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    residual_fuzz::in_folder(|folder| {
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a file");
        match kind % 4 {
            0 => {
                write("train-images-idx3-ubyte", bytes);
                write("train-labels-idx1-ubyte", &LABELS);
            }
            1 => {
                write("train-images-idx3-ubyte", &IMAGES);
                write("train-labels-idx1-ubyte.gz", bytes);
            }
            2 => write("set.npz", bytes),
            _ => {
                let (images, labels) = bytes.split_at(bytes.len() / 2);
                write("x_train.npy", images);
                write("y_train.npy", labels);
            }
        }
        let _ = residual_fuzz::read_images(folder);
    });
});
