//! The service on a socket: connections, their limits, TLS, and an end that answers what was accepted.

mod accept;
mod first_bytes;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::{Error, Service};

/// Threads that move bytes.
const THREADS: usize = 2;

/// Address of a server, and its certificate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Address to listen on; loopback by default, which this machine alone reaches.
    pub address: IpAddr,
    /// Port; 0 for any that is free.
    pub port: u16,
    /// Files of a certificate chain and its key, in PEM; `None` for HTTP without TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8000, tls: None }
    }
}

impl ServerOptions {
    /// Changes what `change` says.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// A service that listens, on threads of its own.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: StopHandle,
    thread: JoinHandle<()>,
}

/// Handle that ends a server.
#[derive(Clone, Debug)]
pub struct StopHandle {
    stop: watch::Sender<bool>,
}

impl StopHandle {
    /// Ends the server: nothing more is accepted, and what was accepted is answered.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Server {
    /// Listens, and answers requests from then on.
    ///
    /// # Errors
    /// [`Error::Tls`] for a certificate or a key that cannot be used, [`Error::Listen`] for an address that cannot be
    /// listened on, [`Error::Threads`].
    pub fn start(service: &Service, options: &ServerOptions) -> Result<Self, Error> {
        let tls =
            options.tls.as_ref().map(|(certificate, key)| tls::acceptor(certificate, key)).transpose()?;
        let wanted = SocketAddr::new(options.address, options.port);
        let listen = |cause| Error::Listen { address: wanted.to_string(), cause };
        let listener = std::net::TcpListener::bind(wanted).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("serve")
            .enable_all()
            .build()
            .map_err(Error::Threads)?;
        let (stop, stopped) = watch::channel(false);
        let service = service.clone();
        let run = move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => accept::run(listener, service, tls, stopped).await,
                    Err(error) => {
                        service.shared.log.event("cannot listen", &[("error", error.to_string().into())]);
                    }
                }
            });
        };
        let thread =
            std::thread::Builder::new().name("accept".to_owned()).spawn(run).map_err(Error::Threads)?;
        Ok(Self { address, stop: StopHandle { stop }, thread })
    }

    /// Address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Handle that ends it.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Waits until it was ended and has answered what it accepted.
    pub fn wait(self) {
        // A panic of the thread was printed where it happened.
        let _ = self.thread.join();
    }
}
