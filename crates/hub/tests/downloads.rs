//! Downloads from a server that does what servers and networks do to them.

mod server;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use residual_hub::{Digest, Error, Event, Hub, Options, Remote};
use server::{Proxy, Reply, Seen, Server, ranged, response, whole};
use tempfile::TempDir;

/// Bytes of a file, none of which is like its neighbour.
fn content() -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Beginning of their SHA-256.
const SHA256: &str = "136f334d";

struct Cache {
    folder: TempDir,
    hub: Hub,
}

fn cache() -> Cache {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::default().with(|options| {
        options.patience = Duration::from_millis(300);
        options.pause = Duration::ZERO;
        options.retries = 2;
    });
    let hub = Hub::at(folder.path().join("cache")).with_options(options);
    Cache { folder, hub }
}

impl Cache {
    fn get(&self, remote: &Remote) -> Result<PathBuf, Error> {
        self.hub.get(remote, &mut |_| {})
    }

    /// Names of the files in the cache.
    fn files(&self) -> Vec<String> {
        let folder = self.folder.path().join("cache/weights");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with(".lock"));
        names.sort();
        names
    }
}

fn remote(server: &Server) -> Remote {
    Remote::new("net.a1", server.url("file.pth"), "weights/net.pth")
        .with(|remote| remote.digest = Some(Digest::Sha256(SHA256.into())))
}

fn is_content(path: &Path) -> bool {
    std::fs::read(path).unwrap() == content()
}

/// A server that gives what is asked for, but closes the connection after `sent` bytes as often as `cuts` says.
fn cutting(cuts: usize, sent: usize) -> Server {
    let mut left = cuts;
    Server::start(move |seen| {
        let sent = if left > 0 { sent } else { usize::MAX };
        left = left.saturating_sub(1);
        Reply::Bytes(ranged(&content(), seen, sent.min(content().len())))
    })
}

#[test]
fn a_file_is_fetched_once() {
    let (server, cache) = (cutting(0, 0), cache());
    let mut events = Vec::new();
    let path = cache.hub.get(&remote(&server), &mut |event| events.push(event)).unwrap();
    assert!(is_content(&path) && path.ends_with("cache/weights/net.pth"));
    let size = Some(300_000);
    assert_eq!(events.first(), Some(&Event::Progress { received: 0, size }));
    assert!(events.contains(&Event::Progress { received: 300_000, size }));
    assert_eq!(events.last(), Some(&Event::Verifying));
    assert_eq!(cache.get(&remote(&server)).unwrap(), path);
    assert_eq!((server.seen().len(), cache.files()), (1, vec!["net.pth".to_owned()]));
    let request = &server.seen()[0];
    assert_eq!(request.line, "GET /file.pth HTTP/1.1");
    assert_eq!(request.header("accept-encoding"), Some("identity"));
}

#[test]
fn a_cut_transfer_goes_on_where_it_broke_off() {
    let (server, cache) = (cutting(3, 70_000), cache());
    let mut again = 0;
    let path = cache
        .hub
        .get(&remote(&server), &mut |event| again += usize::from(matches!(event, Event::Again { .. })));
    assert!(is_content(&path.unwrap()));
    let seen = server.seen();
    assert_eq!(
        seen.iter().map(Seen::from).collect::<Vec<_>>(),
        [None, Some(70_000), Some(140_000), Some(210_000)]
    );
    assert_eq!((seen[1].header("if-range"), again), (Some("\"v1\""), 3));
}

#[test]
fn another_run_goes_on_where_the_last_broke_off() {
    // Nothing comes after the first 90,000 bytes, until the second run.
    let server = Server::scripted(vec![
        Box::new(|_| Reply::Bytes(whole(&content(), 90_000))),
        Box::new(|_| Reply::Bytes(Vec::new())),
        Box::new(|_| Reply::Bytes(Vec::new())),
        Box::new(|seen| Reply::Bytes(ranged(&content(), seen, usize::MAX))),
    ]);
    let cache = cache();
    let error = cache.get(&remote(&server)).unwrap_err();
    assert!(matches!(error, Error::Connect { .. } | Error::Broken { .. }), "{error}");
    assert_eq!(cache.files(), ["net.pth.part", "net.pth.part.version"]);
    assert!(is_content(&cache.get(&remote(&server)).unwrap()));
    assert_eq!(server.seen().last().unwrap().from(), Some(90_000));
    assert_eq!(cache.files(), ["net.pth"]);
}

#[test]
fn a_stalled_transfer_is_taken_up_again_and_then_given_up() {
    let server = Server::scripted(vec![
        Box::new(|_| Reply::Silence(whole(&content(), 50_000))),
        Box::new(|seen| Reply::Bytes(ranged(&content(), seen, usize::MAX))),
    ]);
    let first = cache();
    assert!(is_content(&first.get(&remote(&server)).unwrap()));
    assert_eq!(server.seen()[1].from(), Some(50_000));

    let silent = Server::start(|seen| Reply::Silence(ranged(&content(), seen, 0)));
    let error = cache().get(&remote(&silent)).unwrap_err();
    assert!(matches!(error, Error::Broken { received: 0, .. }), "{error:?}");
    assert!(error.to_string().contains("nothing came for 0.3 s"), "{error}");
    assert_eq!(silent.seen().len(), 3);
    // Not even a status line.
    let dumb = Server::start(|_| Reply::Silence(Vec::new()));
    let error = cache().get(&remote(&dumb)).unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[test]
fn a_server_without_ranges_sends_the_whole_again() {
    let server = Server::scripted(vec![
        Box::new(|_| Reply::Bytes(whole(&content(), 90_000))),
        Box::new(|_| Reply::Bytes(whole(&content(), 300_000))),
    ]);
    let cache = cache();
    assert!(is_content(&cache.get(&remote(&server)).unwrap()));
    assert_eq!(server.seen()[1].from(), Some(90_000));
}

/// 206 with another beginning than was asked for: a patchwork would come of it.
#[test]
fn another_range_than_asked_for_is_not_appended() {
    let server = Server::scripted(vec![
        Box::new(|_| Reply::Bytes(whole(&content(), 90_000))),
        Box::new(|_| {
            Reply::Bytes(response(
                "206 Partial\r\nContent-Range: bytes 5-9/300000\r\nContent-Length: 5",
                b"wrong",
            ))
        }),
        Box::new(|seen| Reply::Bytes(ranged(&content(), seen, usize::MAX))),
    ]);
    let cache = cache();
    assert!(is_content(&cache.get(&remote(&server)).unwrap()));
    assert_eq!(server.seen().iter().map(Seen::from).collect::<Vec<_>>(), [None, Some(90_000), None]);
}

#[test]
fn a_part_that_is_the_whole_needs_no_more() {
    let (server, cache) = (cutting(0, 0), cache());
    let folder = cache.folder.path().join("cache/weights");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("net.pth.part"), content()).unwrap();
    assert!(is_content(&cache.get(&remote(&server)).unwrap()));
    assert_eq!(server.seen()[0].from(), Some(300_000));
}

/// A part that is of another file is found out by the hash, and the whole fetched anew.
#[test]
fn a_broken_part_is_thrown_away() {
    for part in [vec![7; 1000], vec![7; 400_000]] {
        let (server, cache) = (cutting(0, 0), cache());
        let folder = cache.folder.path().join("cache/weights");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("net.pth.part"), &part).unwrap();
        assert!(is_content(&cache.get(&remote(&server)).unwrap()), "{}", part.len());
        assert_eq!(server.seen().last().unwrap().from(), None);
    }
}

#[test]
fn wrong_bytes_are_refused_and_removed() {
    let server = Server::start(|_| Reply::Bytes(whole(&vec![1; 5000], 5000)));
    let cache = cache();
    let error = cache.get(&remote(&server)).unwrap_err();
    assert!(matches!(error, Error::Wrong { .. }), "{error:?}");
    assert!(error.to_string().contains(SHA256) && cache.files().is_empty(), "{error}");
}

/// A length that is too short cuts the file, one that is too long makes it seem cut: neither is taken for the file.
#[test]
fn a_length_that_lies_is_found_out() {
    let lying = |length: usize| {
        Server::start(move |_| {
            Reply::Bytes(response(&format!("200 OK\r\nContent-Length: {length}"), &content()))
        })
    };
    let short = cache();
    assert!(matches!(short.get(&remote(&lying(1000))).unwrap_err(), Error::Wrong { .. }));
    assert!(short.files().is_empty());
    let long = cache();
    let error = long.get(&remote(&lying(400_000))).unwrap_err();
    assert!(matches!(error, Error::Broken { size: Some(400_000), .. }), "{error:?}");
    assert!(!long.files().contains(&"net.pth".to_owned()));
}

#[test]
fn what_is_too_large_is_refused_before_it_is_there() {
    let small = |server: &Server| remote(server).with(|remote| remote.limit = 100_000);
    let claims =
        Server::start(|_| Reply::Bytes(response("200 OK\r\nContent-Length: 18446744073709551615", b"x")));
    let endless = Server::start(|_| Reply::Bytes(response("200 OK", &content())));
    for server in [claims, endless] {
        let cache = cache();
        let error = cache.get(&small(&server)).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 100_000, .. }), "{error:?}");
        assert!(cache.files().is_empty() && server.seen().len() == 1, "{error}");
    }
}

#[test]
fn redirects_are_followed_but_not_for_ever_nor_anywhere() {
    let to =
        |target: String| move || Reply::Bytes(response(&format!("302 Found\r\nLocation: {target}"), b""));
    let server = Server::start(move |seen| match seen.line.contains("there") {
        true => Reply::Bytes(ranged(&content(), seen, usize::MAX)),
        false => to("/there".into())(),
    });
    let cache_of_redirects = cache();
    assert!(is_content(&cache_of_redirects.get(&remote(&server)).unwrap()));

    for (target, reason) in [
        ("/file.pth", "more than ten times"),
        ("ftp://127.0.0.1/file.pth", "not http(s)"),
        // Without a host it is no address: it is taken as a path of this server.
        ("file:///etc/passwd", "more than ten times"),
    ] {
        let server = Server::start(move |_| to(target.into())());
        let cache = cache();
        let error = cache.get(&remote(&server)).unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{target}: {error:?}");
        assert!(error.to_string().contains(reason) && cache.files().is_empty(), "{target}: {error}");
        assert!(server.seen().len() <= 11, "{target}");
    }
}

#[test]
fn a_range_survives_a_redirect() {
    let mut cuts = 1;
    let server = Server::start(move |seen| match seen.line.contains("there") {
        true => {
            let sent = if cuts > 0 { 10_000 } else { usize::MAX };
            cuts -= i32::from(cuts > 0);
            Reply::Bytes(ranged(&content(), seen, sent))
        }
        false => Reply::Bytes(response("302 Found\r\nLocation: /there", b"")),
    });
    let cache = cache();
    assert!(is_content(&cache.get(&remote(&server)).unwrap()));
    assert_eq!(server.seen().last().unwrap().from(), Some(10_000));
}

#[test]
fn statuses_say_what_to_do() {
    for (status, requests, help) in [
        ("404 Not Found", 1, "take another tag"),
        ("403 Forbidden", 1, "does not give the file"),
        ("500 Oops", 3, "try again later"),
        ("429 Slow\r\nRetry-After: 3600", 1, "again in 3600 s"),
    ] {
        let server = Server::start(move |_| Reply::Bytes(response(status, b"no")));
        let cache = cache();
        let error = cache.get(&remote(&server)).unwrap_err();
        assert!(matches!(error, Error::Status { .. }), "{error:?}");
        assert!(error.to_string().contains(help) && error.to_string().contains("net.a1"), "{error}");
        assert_eq!((server.seen().len(), cache.files().len()), (requests, 0), "{status}");
    }
    let recovering = Server::scripted(vec![
        Box::new(|_| Reply::Bytes(response("503 Busy", b""))),
        Box::new(|seen| Reply::Bytes(ranged(&content(), seen, usize::MAX))),
    ]);
    let cache = cache();
    assert!(is_content(&cache.get(&remote(&recovering)).unwrap()));
}

#[test]
fn offline_takes_what_is_there_and_asks_nobody() {
    let server = cutting(0, 0);
    let cache = cache();
    let offline = cache.hub.clone().with_options(Options::default().with(|options| options.offline = true));
    let error = offline.get(&remote(&server), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error:?}");
    assert!(error.to_string().contains("`residual get net.a1`"), "{error}");
    assert!(server.seen().is_empty());
    cache.get(&remote(&server)).unwrap();
    assert!(is_content(&offline.get(&remote(&server), &mut |_| {}).unwrap()));
}

#[test]
fn a_file_in_the_cache_that_was_changed_is_fetched_again_where_it_is_verified() {
    let (server, cache) = (cutting(0, 0), cache());
    let path = cache.get(&remote(&server)).unwrap();
    std::fs::write(&path, b"changed").unwrap();
    let verifying = cache.hub.clone().with_options(Options::default().with(|options| options.verify = true));
    assert!(is_content(&verifying.get(&remote(&server), &mut |_| {}).unwrap()));
    assert_eq!(server.seen().len(), 2);
}

/// Without a hash a file is taken as it comes, and a part of an unknown version is not gone on with.
#[test]
fn without_a_hash_parts_of_unknown_versions_are_not_mixed() {
    let server = Server::scripted(vec![
        Box::new(|_| Reply::Bytes(response("200 OK\r\nContent-Length: 300000", &content()[..1000]))),
        Box::new(|seen| Reply::Bytes(ranged(&content(), seen, usize::MAX))),
    ]);
    let cache = cache();
    let unhashed = remote(&server).with(|remote| remote.digest = None);
    assert!(is_content(&cache.get(&unhashed).unwrap()));
    assert_eq!(server.seen()[1].from(), None);
}

#[test]
fn two_at_a_time_fetch_once() {
    let (server, cache) = (cutting(0, 0), Arc::new(cache()));
    let (remote, barrier) = (remote(&server), Arc::new(Barrier::new(4)));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (cache, remote, barrier) = (cache.clone(), remote.clone(), barrier.clone());
            std::thread::spawn(move || {
                barrier.wait();
                cache.get(&remote).unwrap()
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| is_content(&thread.join().unwrap())));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn nobody_there_is_said_at_once() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = Remote::new("net.a1", format!("http://127.0.0.1:{port}/x"), "weights/net.pth");
    let error = cache().get(&nowhere).unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
}

/// Variable by which the test below is told what to fetch.
const URL: &str = "RESIDUAL_TEST_URL";

/// Child process of [`the_proxy_of_the_environment_is_used`]: variables of the environment belong to the whole process,
/// so each case is a process of its own. Alone it has no server to ask, hence ignored.
#[test]
#[ignore = "the child process of the_proxy_of_the_environment_is_used, which runs it six times"]
fn fetches_through_the_proxy_of_the_environment() {
    let url = std::env::var(URL).expect("started by the_proxy_of_the_environment_is_used");
    let cache = cache();
    let remote = Remote::new("net.a1", url, "weights/net.pth");
    assert!(is_content(&cache.get(&remote).unwrap()));
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let cases: [(&str, &str, bool); 6] = [
        ("HTTP_PROXY", "", true),
        ("HTTPS_PROXY", "", true),
        ("all_proxy", "", true),
        ("HTTP_PROXY", "example.org", true),
        ("HTTP_PROXY", "example.org,127.0.0.1", false),
        ("HTTPS_PROXY", "*", false),
    ];
    for (variable, exception, used) in cases {
        let (server, proxy) = (cutting(0, 0), Proxy::start());
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        for known in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
            command.env_remove(known).env_remove(known.to_lowercase());
        }
        command.env(URL, server.url("file.pth")).env(variable, &proxy.url).env("NO_PROXY", exception);
        command.args(["--ignored", "--exact", "fetches_through_the_proxy_of_the_environment"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{variable}: {output:?}");
        let expected = if used { vec![format!("127.0.0.1:{}", server.port)] } else { vec![] };
        assert_eq!((proxy.targets(), server.seen().len()), (expected, 1), "{variable}, NO_PROXY={exception}");
    }
}
