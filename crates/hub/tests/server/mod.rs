//! A server on the loopback interface that does to every connection what a test says.

mod proxy;

pub(crate) use proxy::Proxy;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came: its first line, and its headers in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// First byte of the range that is asked for.
    pub(crate) fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// Treatment of a connection.
pub(crate) enum Reply {
    /// The bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// The bytes, then silence until the client has gone.
    Silence(Vec<u8>),
}

/// A server whose n-th connection gets the n-th reply of the script, and every further one the last.
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

type Script = Box<dyn FnMut(&Seen) -> Reply + Send>;

impl Server {
    pub(crate) fn start(mut script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else { continue };
                log.lock().unwrap().push(request.clone());
                answer(stream, script(&request));
            }
        });
        Self { port, seen }
    }

    /// A reply a connection.
    pub(crate) fn scripted(replies: Vec<Script>) -> Self {
        let mut replies = VecDeque::from(replies);
        Self::start(move |seen| {
            let mut next =
                if replies.len() > 1 { replies.pop_front().unwrap() } else { return replies[0](seen) };
            next(seen)
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next()?.ok()?;
    let mut headers = Vec::new();
    while let Some(Ok(line)) = lines.next() {
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    Some(Seen { line, headers })
}

fn answer(mut stream: TcpStream, reply: Reply) {
    match reply {
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(&bytes);
        }
        // On a thread of its own: the next connection is to be answered meanwhile.
        Reply::Silence(bytes) => {
            thread::spawn(move || {
                let _ = stream.write_all(&bytes);
                thread::sleep(Duration::from_secs(60));
            });
        }
    }
}

/// A response with these headers and this body.
pub(crate) fn response(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
}

/// The whole of `content`, whatever is asked for; of it `sent` bytes arrive.
pub(crate) fn whole(content: &[u8], sent: usize) -> Vec<u8> {
    response(&format!("200 OK\r\nETag: \"v1\"\r\nContent-Length: {}", content.len()), &content[..sent])
}

/// Range of `content` that is asked for, as a server with ranges sends it; of it `sent` bytes at the most arrive.
pub(crate) fn ranged(content: &[u8], seen: &Seen, sent: usize) -> Vec<u8> {
    let size = content.len();
    match seen.from() {
        None => whole(content, sent.min(size)),
        Some(from) if from >= size => response(&format!("416 No\r\nContent-Range: bytes */{size}"), b""),
        Some(from) => {
            let head = format!(
                "206 Partial\r\nETag: \"v1\"\r\nContent-Range: bytes {from}-{}/{size}\r\nContent-Length: {}",
                size - 1,
                size - from
            );
            response(&head, &content[from..][..sent.min(size - from)])
        }
    }
}
