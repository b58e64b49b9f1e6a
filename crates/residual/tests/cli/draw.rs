//! `draw`, and the drawing in the pages of `summary` and of a run.

use std::fs;

use crate::toy::Bench;

#[test]
fn a_drawing_is_of_a_member_a_specification_or_a_checkpoint() {
    let bench = Bench::new().trained();
    bench.run("draw toy.toml --out toy.svg").ok();
    let toy = fs::read_to_string(bench.path("toy.svg")).unwrap();
    assert!(toy.starts_with("<svg ") && toy.ends_with("</svg>\n") && toy.contains(">stage2<"), "{toy}");
    assert_eq!(bench.run("draw run/best.safetensors --out -").ok(), toy);
    let wide = bench.run("draw resnet50 --input 3x448x224 --out -").ok();
    assert!(wide.contains(">2048x14x7<") && wide.contains(">block1 to block5<"), "{wide}");
}

#[test]
fn an_earlier_drawing_is_replaced_and_nothing_else() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.run("draw small --out net.svg").ok();
    }
    fs::write(bench.path("mine.svg"), "<svg>mine</svg>").unwrap();
    bench.run("draw small --out mine.svg").refused(&["mine.svg", "no drawing of an earlier call"]);
    assert_eq!(fs::read_to_string(bench.path("mine.svg")).unwrap(), "<svg>mine</svg>");
    bench.run("draw small --out net.png").refused(&["net.png", "ends in .svg"]);
    bench.run("draw small --out nowhere/net.svg").refused(&["nowhere/net.svg"]);
    assert!(!bench.path("net.png").exists());
}

#[test]
fn a_network_that_cannot_be_is_refused_as_summary_does() {
    let bench = Bench::new();
    let broken = crate::toy::NETWORK.replace("stride = 2", "stride = 2, shortcut = { kind = \"identity\" }");
    fs::write(bench.path("broken.toml"), broken).unwrap();
    for model in ["broken.toml", "resnet19", "resnet18 --input 1x224x224", "nowhere.toml"] {
        let drawn = bench.run(&format!("draw {model} --out net.svg"));
        drawn.refused(&[]);
        assert_eq!(drawn.stderr, bench.run(&format!("summary {model}")).stderr);
        assert!(!bench.path("net.svg").exists(), "{model}");
    }
}

#[test]
fn pages_of_a_summary_and_of_a_run_show_the_drawing() {
    let bench = Bench::new().trained();
    let said = bench.run("summary toy.toml --html toy.html").ok();
    assert_eq!(said, bench.run("summary toy.toml").ok());
    let drawing = bench.run("draw toy.toml --out -").ok();
    for page in ["toy.html", "run/report.html"] {
        let html = fs::read_to_string(bench.path(page)).unwrap();
        assert!(html.contains(drawing.trim_end()), "{page}");
    }
    let html = fs::read_to_string(bench.path("toy.html")).unwrap();
    assert!(html.contains("<td>stage2.block0</td>") && html.contains("<th scope=\"col\">shortcut</th>"));
    fs::write(bench.path("mine.html"), "mine").unwrap();
    bench.run("summary toy.toml --html mine.html").refused(&["mine.html", "no report of an earlier call"]);
    bench.run("summary toy.toml --html toy.txt").refused(&["toy.txt", ".html"]);
}
