//! Drawings of networks: structure for every family, one small drawing letter by letter.

use residual_arch::families::{all, family};
use residual_arch::{BlockSpec, HeadSpec, NetSpec, NormKind, Shortcut, StageSpec, StemSpec, Task};
use residual_report::{Figure, NetworkDiagram, Page};

fn svg(spec: &NetSpec) -> String {
    NetworkDiagram::new(&spec.check(spec.input).unwrap()).figure().svg()
}

fn tiny(blocks: Vec<BlockSpec>) -> NetSpec {
    NetSpec::new("tiny", [3, 16, 16], StemSpec::cifar(8), vec![StageSpec::new(blocks)], HeadSpec::new(2))
}

/// Parts of a drawing, one for each block that is drawn.
fn drawn(svg: &str) -> Vec<&str> {
    svg.split("<g class=\"block\"").skip(1).collect()
}

fn count(drawn: &str) -> usize {
    drawn.split('"').nth(1).unwrap().parse().unwrap()
}

#[test]
fn every_family_has_a_box_for_each_block_and_an_arrow_for_each_shortcut() {
    for name in all() {
        let spec = family(name).unwrap();
        let svg = svg(&spec);
        let drawn = drawn(&svg);
        let blocks: usize = drawn.iter().map(|block| count(block)).sum();
        assert_eq!(blocks, spec.depth_in_blocks(), "{name}");
        assert_eq!(svg.matches(">stage").count(), spec.stages.len(), "{name}");
        let mut specs = spec.blocks();
        for block in drawn {
            let (path, spec) = specs.next().unwrap();
            let named = format!(">block{}", path.block);
            assert!(
                block.contains(&named) && block.contains(&format!(">{}<", spec.label())),
                "{name} {path}"
            );
            let arrows = block.matches("class=\"tip shortcut\"").count();
            assert_eq!(arrows, usize::from(!spec.is_plain()), "{name} {path}");
            assert_eq!(block.matches(">+<").count(), arrows, "{name} {path}");
            let (branch, beside) = block.split_once("<g class=\"beside\">").unwrap_or((block, ""));
            let (beside, _) = beside.split_once("</g>").unwrap_or((beside, ""));
            assert_eq!(
                branch.matches(">conv").count(),
                spec.convolutions(1).len(),
                "{name} {path}: {branch}"
            );
            let wanted: &[&str] = match spec.shortcut {
                Shortcut::Identity => &[">identity<"],
                Shortcut::Projection { average_pool: true, stride: 2, .. } => {
                    &[">average pool 2x2<", ">stride 2<", ">projection<"]
                }
                Shortcut::Projection { stride: 2, .. } => &[">projection<", ">stride 2<"],
                Shortcut::Projection { .. } => &[">projection<"],
                Shortcut::ZeroPad { .. } => &[">zero-pad<", ">stride 2<"],
                _ => &[],
            };
            assert!(wanted.iter().all(|text| beside.contains(text)), "{name} {path}: {beside}");
            assert!(!matches!(spec.shortcut, Shortcut::Identity) || !beside.contains("box"), "{name} {path}");
            // The equal ones that are drawn with it.
            for _ in 1..count(block) {
                specs.next();
            }
        }
    }
}

#[test]
fn shapes_stand_at_every_stage() {
    let spec = family("resnet50").unwrap();
    let svg = svg(&spec);
    for shape in
        ["image 3x224x224", "64x56x56", "256x56x56", "512x28x28", "1024x14x14", "2048x7x7", "1000 classes"]
    {
        assert!(svg.contains(&format!(">{shape}<")), "{shape}");
    }
    let wider = NetworkDiagram::new(&spec.check([3, 448, 224]).unwrap()).figure().svg();
    assert!(wider.contains(">2048x14x7<") && !wider.contains(">2048x7x7<"));
}

#[test]
fn repeated_blocks_are_drawn_once_and_differing_ones_are_not() {
    let deep = svg(&family("resnet152").unwrap());
    assert!(deep.contains(">block1 to block35<") && deep.contains(">× 35<"), "{deep}");
    assert_eq!(drawn(&deep).len(), 8);
    // The probability of stochastic depth is another in every block.
    let dropped = family("resnet152").unwrap().with(|net| net.stochastic_depth = 0.2);
    let dropped = svg(&dropped);
    assert_eq!((drawn(&dropped).len(), dropped.matches(">stochastic depth<").count()), (8, 8));
    let equal = BlockSpec::basic(8);
    let other = equal.with(|block| block.width = 4);
    let counts = |blocks| drawn(&svg(&tiny(blocks))).into_iter().map(count).collect::<Vec<_>>();
    assert_eq!(counts(vec![equal, equal, other, equal]), [2, 1, 1]);
    let preactivated = equal.preactivation();
    assert_eq!(counts(vec![equal, preactivated, preactivated]), [1, 2]);
    assert_eq!(counts(vec![equal, equal.plain()]), [1, 1]);
}

/// He et al. 2016: a projection reads what the first norm and activation give, an identity the block's input.
#[test]
fn the_shortcut_of_a_preactivation_block_leaves_where_it_reads() {
    let fork = |block: BlockSpec| {
        let svg = svg(&tiny(vec![block]));
        let path = svg.split("<g class=\"beside\"><path d=\"M").nth(1).unwrap();
        let fork: f64 = path.split(['L', ' ']).nth(1).unwrap().parse().unwrap();
        let dot = svg.split("<circle cx=\"128\" cy=\"").nth(1).unwrap();
        fork - dot.split('"').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(fork(BlockSpec::basic(8).preactivation()), 0.0);
    assert_eq!(fork(BlockSpec::projection(8, 2)), 0.0);
    assert!(fork(BlockSpec::projection(8, 2).preactivation()) > 20.0);
}

#[test]
fn words_of_rare_layers() {
    let block = BlockSpec::basic(8).with(|block| block.norm = NormKind::group(4));
    let regression = tiny(vec![block]).with(|net| net.task = Task::multi_label());
    let text = svg(&regression);
    assert!(text.contains("group norm 4, ReLU") && text.contains(">2 labels<"), "{text}");
    for (name, words) in [
        ("seresnet50", "squeeze-excite, 16 inside"),
        ("resnext50_32x4d", "32 groups"),
        ("resnet50d", ">average pool 2x2<"),
        ("cifar_resnet20", ">to 32 channels<"),
    ] {
        assert!(svg(&family(name).unwrap()).contains(words), "{name}");
    }
}

#[test]
fn nothing_of_a_name_is_markup_and_a_long_one_is_cut() {
    let spec = tiny(vec![BlockSpec::basic(8)]).with(|net| net.name = "<script>\u{1b}&".repeat(9));
    let svg = svg(&spec);
    assert!(!svg.contains("<script") && !svg.contains('\u{1b}') && svg.contains("…<"), "{svg}");
    assert!(svg.contains(&"&lt;script&gt;\u{fffd}&amp;".repeat(9)), "the title has all of it");
}

#[test]
fn a_drawing_stands_alone_and_is_told_to_those_who_do_not_see_it() {
    let network = family("small").unwrap();
    let network = network.check(network.input).unwrap();
    let figure: Figure = NetworkDiagram::new(&network).figure();
    let svg = figure.svg();
    assert!(svg.starts_with("<svg ") && svg.contains("role=\"img\"") && svg.contains("width=\"360\""));
    assert!(
        svg.contains("<title>small</title>") && svg.contains("<desc>Residual network for images of 3x32x32")
    );
    assert!(
        svg.contains("Stage 2: 1 of kind basic with shortcut projection 64, stride 2, to 64x16x16"),
        "{svg}"
    );
    assert!(svg.contains("prefers-color-scheme:dark") && !svg.contains("href"));
    assert_eq!(svg, NetworkDiagram::new(&network).figure().svg());
    let page = Page::new("page").figure("network", figure, "").html();
    assert!(page.contains(svg.trim_end()));
}

/// Set `RESIDUAL_BLESS` to write it anew, and look at it.
#[test]
fn a_small_drawing_is_as_it_was() {
    let spec = tiny(vec![BlockSpec::projection(16, 2), BlockSpec::basic(16), BlockSpec::basic(16)]);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tiny.svg");
    let svg = svg(&spec);
    if std::env::var_os("RESIDUAL_BLESS").is_some() {
        std::fs::write(path, &svg).unwrap();
    }
    assert_eq!(svg, std::fs::read_to_string(path).unwrap());
}
