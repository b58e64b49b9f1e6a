//! Silence on healthy networks: a false alarm costs more trust than a missed fault.

use residual_arch::NetSpec;
use residual_arch::families::{all, family};
use residual_data::Dataset;
use residual_doctor::{Kind, Patient, examine};

#[test]
fn every_member_s_specification_is_sound() {
    for name in all() {
        let report = examine(&Patient::new(family(name).unwrap())).unwrap();
        assert_eq!(report.findings, [], "{name}");
        assert!(report.not_checked.is_empty(), "{name}");
    }
}

/// A new member on the embedded sample, forward and backward.
fn silent(name: &str, spec: NetSpec) {
    let data = Some(Dataset::sample().unwrap());
    let report = examine(&Patient { data, ..Patient::new(spec.with_classes(10)) }).unwrap();
    assert_eq!(report.findings, [], "{name}");
    assert_eq!(report.not_checked, [""; 0], "{name}");
    assert!(report.checked.contains(&"a batch through the network"), "{name}: {report:?}");
}

/// Those that run in a test's time; the deeper and wider ones are looked at without a batch, above.
#[test]
fn small_members_run_without_a_finding() {
    for name in ["small", "cifar_resnet20", "cifar_resnet20_b", "cifar_plain20", "cifar_preact20"] {
        silent(name, family(name).unwrap());
    }
    silent("cifar_resnet110", family("cifar_resnet110").unwrap());
}

#[test]
fn a_plain_member_explodes_as_its_paper_has_it_and_another_s_is_warned_of() {
    let kinds = |spec: NetSpec| {
        let data = Some(Dataset::sample().unwrap());
        let report = examine(&Patient { data, ..Patient::new(spec.with_classes(10)) }).unwrap();
        [report.findings, report.passed]
            .map(|all| all.into_iter().map(|finding| finding.kind).collect::<Vec<_>>())
    };
    let both = vec![Kind::DeepPlain, Kind::ExplodingGradient];
    let member = family("cifar_plain110").unwrap();
    assert_eq!(kinds(member.clone()), [vec![], both.clone()]);
    let mut own = member;
    own.stages[0].blocks.pop();
    assert_eq!(kinds(own), [both, vec![]]);
}

/// At 96x96, where their last map is 3x3.
#[test]
fn one_of_each_large_family_runs_without_a_finding() {
    for name in ["resnet18", "seresnet18", "resnet26d", "resnetv2_50"] {
        silent(name, family(name).unwrap().with_input([3, 96, 96]));
    }
}
