//! CIFAR-10's pickles: the machine that reads them, and the batches as data.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = residual_pickle::interpret(bytes, &mut residual_pickle::budget());
    residual_fuzz::in_folder(|folder| {
        for name in ["test_batch", "batches.meta"] {
            std::fs::write(folder.join(name), bytes).expect("a file");
        }
        let _ = residual_fuzz::read_images(folder);
    });
});
