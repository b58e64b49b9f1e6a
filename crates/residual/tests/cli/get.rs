//! `residual get` and `--weights auto`, of a cache that is filled beforehand: downloads are tested in `residual-hub`.

use residual::arch::Naming;
use residual::arch::families::family;
use residual::arch::published::find;
use residual::data::{Dataset, OpenOptions, Split};
use residual::hub::dataset;
use residual::weights::safetensors;
use residual_testkit::networks;

use crate::tls::{Proxy, certificate};
use crate::toy::{Bench, Run, picture};

impl Bench {
    /// Runs with a cache folder of this bench, and no proxy or network that a test could reach.
    fn run_cached(&self, arguments: &str) -> Run {
        let mut command = self.command(arguments);
        command.env("RESIDUAL_CACHE", self.path("cache")).env("ALL_PROXY", "http://127.0.0.1:9");
        Run::of(command.output().unwrap())
    }
}

#[test]
fn the_list_is_a_table() {
    let bench = Bench::new();
    let list = bench.run("get --list resnet50").ok();
    let row =
        |name: &str| list.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{list}"));
    assert!(row("resnet50:IMAGENET1K_V2*").contains("80.86"), "{list}");
    let words: Vec<&str> = row("resnet50.a1_in1k*").split_whitespace().collect();
    assert_eq!(words[2..5], ["25.6M", "~102", "apache-2.0"]);
    let words: Vec<&str> = row("resnet50:IMAGENET1K_V2*").split_whitespace().collect();
    assert_eq!(words[2..4], ["25.6M", "103"]);
    assert!(!list.contains("resnet18") && !list.contains('…'), "{list}");
    let both = bench.run("get --list SSL 32x8d").ok();
    assert_eq!(
        (both.lines().count(), both.contains("resnext101_32x8d.fb_ssl_yfcc100m_ft_in1k ")),
        (3, true),
        "{both}"
    );
    let all = bench.run("get --list").ok();
    assert!(all.lines().count() > 100 && !all.contains('…'), "{all}");
    assert!(all.lines().all(|line| line.chars().count() <= 80), "{all}");
    let sets = bench.run("get --list mnist").ok();
    assert_eq!(sets.lines().count(), 2, "{sets}");
    let json = bench.run("get --list resnet18:IMAGENET1K_V1 --json").json();
    assert_eq!((json.len(), json[0]["sha256"].as_str()), (1, Some("f37072fd")));
    bench.run("get --list nothing_like_it").refused(&["nothing that is published"]);
}

#[test]
fn what_is_not_there_is_said_before_anybody_is_asked() {
    let bench = Bench::new();
    bench
        .run_cached("get resnet50 --offline")
        .refused(&["resnet50:IMAGENET1K_V2: not downloaded yet", "--offline"]);
    bench.run_cached("get cifar10 --offline").refused(&["cifar10: not downloaded yet"]);
    bench.run_cached("get resnet50.a9_in1k").refused(&["no tag `a9_in1k`", "did you mean `resnet50."]);
    bench.run_cached("get cifar_resnet20").refused(&["no published weights"]);
    bench.run_cached("get seresnet152").refused(&["no weights are published"]);
    bench.run_cached("get").refused(&["NAME"]);
    bench.run_cached("get resnet18 --crop 200").refused(&["--out"]);
    bench
        .run_cached("predict --model resnet18 x.png")
        .refused(&["no weights", "`residual get resnet18:IMAGENET1K_V1`"]);
    bench
        .run_cached("predict --model resnet18 --weights no.pth x.png")
        .refused(&["no.pth: no such file", "`residual get resnet18:IMAGENET1K_V1`"]);
    bench.run_cached("predict --weights auto x.png").refused(&["--model"]);
    bench
        .run_cached("train --model toy.toml --data data --init auto --out run")
        .refused(&["auto", "--model"]);
    // Nobody listens at the proxy.
    bench.run_cached("get resnet18").refused(&["resnet18:IMAGENET1K_V1: cannot download", "HTTPS_PROXY"]);
}

/// Whole flow with weights in the cache: they are opened as their tag, images go through its preprocessing, and the
/// classes have ImageNet's names.
#[test]
fn published_weights_answer_with_the_names_of_their_classes() {
    let bench = Bench::new();
    let checkpoint = find("resnet18").unwrap();
    let model = networks::model(&family("resnet18").unwrap(), 1.0).unwrap();
    let file = bench.path("cache/weights/resnet18.IMAGENET1K_V1-f37072fd.pth");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    // Files are told by their content.
    safetensors::write(&file, &model.to_state_dict(Naming::Torchvision).unwrap()).unwrap();
    picture(0, 1, 60).save(bench.path("a.png")).unwrap();

    let run = bench.run_cached("predict --model resnet18 --weights auto a.png --json");
    assert!(
        run.stderr.contains("images as for resnet18:IMAGENET1K_V1: side 256, crop 224, bilinear"),
        "{run:?}"
    );
    let answer = &run.json()[0];
    let class = answer["top"][0]["class"].as_str().unwrap().to_owned();
    assert!(residual::arch::published::imagenet().contains(&class.as_str()), "{class}");

    // It is not the published file, and `get` would fetch it again.
    bench.run_cached("get resnet18 --offline").refused(&["not downloaded yet"]);
    assert_eq!(checkpoint.classes, 1000);
}

impl Bench {
    /// Runs with a cache of this bench, behind a proxy whose certificate is trusted where `trusted` says so.
    fn run_behind(&self, proxy: &Proxy, trusted: bool, arguments: &str) -> Run {
        let mut command = self.command(arguments);
        command.env("RESIDUAL_CACHE", self.path("cache")).env("HTTPS_PROXY", proxy.url());
        command.env_remove("ALL_PROXY").env_remove("NO_PROXY").env_remove("SSL_CERT_FILE");
        if trusted {
            command.env("SSL_CERT_FILE", certificate());
        }
        Run::of(command.output().unwrap())
    }
}

/// A file of weights in the place of a published one of which no hash is known.
fn published() -> Vec<u8> {
    let model = networks::model(&family("test_resnet").unwrap(), 1.0).unwrap();
    safetensors::to_bytes(&model.to_state_dict(Naming::Timm).unwrap()).unwrap()
}

#[test]
fn weights_come_through_a_proxy_over_tls_and_are_used() {
    let (bench, proxy) = (Bench::new(), Proxy::start(published()));
    picture(0, 1, 60).save(bench.path("a.png")).unwrap();
    let behind = |arguments: &str| bench.run_behind(&proxy, true, arguments);

    let run = behind("get test_resnet --out whole.safetensors --crop 128");
    assert!(run.stderr.contains("no hash is published for it"), "{run:?}");
    assert_eq!(run.ok().trim(), "whole.safetensors");
    let path = "/timm/test_resnet.r160_in1k/resolve/main/model.safetensors";
    assert_eq!(
        proxy.asked(),
        ["CONNECT huggingface.co:443 HTTP/1.1".to_owned(), format!("GET {path} HTTP/1.1")]
    );

    // The file says what it is; `auto` takes what was downloaded, and asks nobody.
    let whole = behind("predict --weights whole.safetensors a.png --json").json().remove(0);
    let auto = behind("predict --model test_resnet --weights auto a.png --json").json().remove(0);
    for answer in [&whole, &auto] {
        let class = answer["top"][0]["class"].as_str().unwrap();
        assert!(residual::arch::published::imagenet().contains(&class), "{class}");
    }
    assert_ne!(whole["top"], auto["top"], "images of 128 pixels, and of 160");
    let train =
        behind("train --model test_resnet --init auto --data data --epochs 1 --batch-size 8 --out run");
    assert!(train.stderr.contains("test_resnet.r160_in1k"), "{train:?}");
    train.ok();
    assert_eq!(proxy.asked().len(), 2);
    behind("predict --weights run a.png").ok();
}

#[test]
fn a_certificate_that_nobody_signed_is_refused_by_name() {
    let (bench, proxy) = (Bench::new(), Proxy::start(published()));
    bench.run_behind(&proxy, false, "get test_resnet").refused(&[
        "test_resnet.r160_in1k: cannot download https://huggingface.co/",
        "certificate",
        "SSL_CERT_FILE",
    ]);
    assert_eq!(proxy.asked(), ["CONNECT huggingface.co:443 HTTP/1.1"]);
    assert!(!bench.path("cache/weights").join("test_resnet.r160_in1k.safetensors").exists());
}

/// Datasets of several files are read from the folder that they are left in.
#[test]
fn a_downloaded_folder_is_data() {
    let bench = Bench::new();
    let mut folder = std::path::PathBuf::new();
    for file in dataset("fashion-mnist").unwrap().files() {
        let path = bench.path("cache").join(&file.path);
        folder = path.parent().unwrap().to_owned();
        std::fs::create_dir_all(&folder).unwrap();
        // Three images of 1x2 pixels, or their labels. Files are told by their content, gzipped or not.
        let bytes = match file.path.contains("images") {
            true => vec![0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6],
            false => vec![0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 9],
        };
        std::fs::write(path, bytes).unwrap();
    }
    let data = Dataset::open(&folder.into(), &OpenOptions::default()).unwrap();
    let train = data.split(Split::Train).unwrap();
    assert_eq!((train.len(), data.classes[train.label(2)].as_str()), (3, "Ankle boot"));
    assert_eq!(train.read(2).unwrap().pixels(), [5, 6]);
    assert_eq!(data.split(Split::Test).unwrap().len(), 3);
}
