//! The families against the published parameter counts.

use residual_arch::families::{all, family};
use residual_arch::tensors;

fn parameters(name: &str) -> u64 {
    let spec = family(name).unwrap();
    tensors(&spec).iter().filter(|t| t.role.is_parameter()).map(|t| t.elements()).sum()
}

#[test]
fn published_parameters() {
    let published = [
        ("small", 696_618),
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnext50_32x4d", 25_028_904),
        ("resnext101_32x8d", 88_791_336),
        ("resnext101_64x4d", 83_455_272),
        ("wide_resnet50_2", 68_883_240),
        ("wide_resnet101_2", 126_886_696),
        ("resnet50d", 25_576_264),
        ("seresnet50", 28_088_024),
        ("resnetv2_50", 25_549_352),
        ("cifar_resnet20", 269_722),
        ("cifar_resnet20_b", 272_474),
        ("cifar_resnet110", 1_727_962),
        ("cifar_resnet1202", 19_421_274),
        ("cifar_preact1001", 10_327_706),
        ("wrn_28_10", 36_479_194),
    ];
    for (name, count) in published {
        assert_eq!(parameters(name), count, "{name}");
    }
}

#[test]
fn every_name_is_a_network() {
    for name in all() {
        assert_eq!(family(name).unwrap().name, name);
    }
}
