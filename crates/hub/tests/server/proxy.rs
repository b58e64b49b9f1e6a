//! A proxy on the loopback interface: connects to whom it is told, and notes who that was.

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy.
pub(crate) struct Proxy {
    pub(crate) url: String,
    targets: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let targets = Arc::new(Mutex::new(Vec::new()));
        let log = targets.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let line = lines.next().unwrap_or_default();
                let Some(target) = line.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next())
                else {
                    continue;
                };
                log.lock().unwrap().push(target.to_owned());
                // What follows the head comes when the proxy has answered, so that nothing of it is read here.
                let _ = lines.find(String::is_empty);
                tunnel(stream, target);
            }
        });
        Self { url, targets }
    }

    /// Hosts and ports that it connected to.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap().clone()
    }
}

fn tunnel(mut client: TcpStream, target: &str) {
    let mut server = TcpStream::connect(target).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || copy(&mut from, &mut to));
    let _ = copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
}
