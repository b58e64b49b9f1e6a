//! Specifications in JSON: any text is a network or an error, and one that is written is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use residual_arch::NetSpec;

fuzz_target!(|text: &str| {
    let Ok(spec) = NetSpec::from_json(text) else { return };
    // Not every number has a text that is read as the same one: NaN is not itself.
    if let Ok(written) = spec.to_json() {
        let again = NetSpec::from_json(&written).expect("a specification that was written");
        assert_eq!(again.to_json().expect("written once"), written);
    }
    if let Ok(network) = spec.check(spec.input) {
        assert!(!network.layers().is_empty());
    }
});
