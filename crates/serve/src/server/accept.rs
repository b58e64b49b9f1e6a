//! Connections: accepted up to a number, served, and brought to an end.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::first_bytes::FirstBytes;
use crate::{Service, router};

/// Pause after a connection that could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a request's headers at the most.
const HEADERS: usize = 1 << 16;

/// Requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 256;

/// Interval of HTTP/2's pings, and the longest wait for their answer.
const PING: Duration = Duration::from_secs(20);

/// What every connection is served with.
struct Connections {
    service: Service,
    router: Router,
    tls: Option<TlsAcceptor>,
    builder: Builder<TokioExecutor>,
}

/// Accepts connections until `stopped`, and then waits for those that there are.
pub(super) async fn run(
    listener: TcpListener,
    service: Service,
    tls: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<bool>,
) {
    let (options, log) = (service.shared.options.clone(), service.shared.log);
    let connections = Arc::new(Connections {
        router: router(&service),
        builder: builder(options.header_timeout),
        tls,
        service,
    });
    let places = Arc::new(Semaphore::new(options.connections));
    let graceful = GracefulShutdown::new();
    let accept = async {
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (connections, watcher) = (connections.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        connections.serve(stream, watcher).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    log.event("not accepted", &[("error", error.to_string().into())]);
                    sleep(PAUSE).await;
                }
            }
        }
    };
    {
        // An error of `wait_for` is the end of whoever could stop it.
        let (mut accept, mut stop) = (pin!(accept), pin!(stopped.wait_for(|&stopped| stopped)));
        poll_fn(|context| match stop.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => accept.as_mut().poll(context),
        })
        .await;
    }
    drop(listener);
    connections.service.close();
    log.event("stopping", &[]);
    let longest = options.header_timeout + options.body_timeout + options.deadline;
    let ended = timeout(longest, graceful.shutdown()).await.is_ok();
    log.event("stopped", &[("every connection ended", ended.into())]);
}

fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS as u32);
    builder
}

impl Connections {
    async fn serve(&self, stream: TcpStream, watcher: Watcher) {
        self.service.shared.metrics.connected();
        // Answers are small, and are not to wait for more.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.talk(stream, watcher).await,
            Some(tls) => {
                match timeout(self.service.shared.options.header_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.talk(stream, watcher).await,
                    Ok(Err(error)) => self.ended(&error),
                    Err(late) => self.ended(&late),
                }
            }
        }
        self.service.shared.metrics.disconnected();
    }

    async fn talk(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, watcher: Watcher) {
        let stream = FirstBytes::new(stream, self.service.shared.options.header_timeout);
        let service = TowerToHyperService::new(self.router.clone());
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection.into_owned()).await {
            self.ended(&*error);
        }
    }

    /// Says why a connection ended that a client did not end in good order.
    fn ended(&self, error: &(dyn std::error::Error + 'static)) {
        let mut message = error.to_string();
        if let Some(cause) = error.source() {
            message = format!("{message}: {cause}");
        }
        self.service.shared.log.event("connection", &[("error", message.into())]);
    }
}
