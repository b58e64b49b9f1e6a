//! A proxy behind which every host answers with one file, over TLS and with a certificate that is signed by itself
//! (`bench/peers/certificate.sh`).

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A proxy on the loopback interface, which asks nobody.
pub(crate) struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy behind which every address is that of `content`.
    pub(crate) fn start(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, config) = (asked.clone(), Arc::new(config()));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(line) = first_line(&mut stream) else { continue };
                log.lock().unwrap().push(line);
                if stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_err() {
                    continue;
                }
                let connection = ServerConnection::new(config.clone()).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                // A client that does not trust the certificate says so and goes.
                let Some(line) = first_line(&mut stream) else { continue };
                log.lock().unwrap().push(line);
                let size = content.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content));
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        Self { port, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// First lines of the requests, those to the proxy and those through it.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The certificate, to be trusted.
pub(crate) fn certificate() -> PathBuf {
    folder().join("certificate.pem")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/tls")
}

fn config() -> ServerConfig {
    let own = CertificateDer::from_pem_file(certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder().join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    versions.unwrap().with_no_client_auth().with_single_cert(vec![own], key).unwrap()
}

/// First line of a request, whose head is read and nothing behind it.
fn first_line(stream: &mut impl Read) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).lines().next().map(str::to_owned)
}
