//! `residual serve`: a service over HTTP and gRPC.

mod signals;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use residual::serve::{LogFormat, ModelSource, Options, Server, ServerOptions, Service};
use residual_files::escaped;

use super::failure::{Failure, Outcome};
use super::named::Named;
use super::output::Output;
use super::preprocessing::PreprocessArguments;
use super::progress::note;
use super::{network, threads};

const EXAMPLE: &str = "\
Examples:
  residual serve --weights runs/photos
  residual serve --weights cats=runs/cats --weights dogs:3=dogs.safetensors
  residual serve --model resnet50.a1_in1k --weights auto --port 8080 --log json
  curl --data-binary @photo.jpg http://127.0.0.1:8000/v1/classify

The page at / shows what the network sees. /v2 speaks the Open Inference Protocol
of KServe and Triton, and gRPC on the same port; /openapi.json describes it all.
SIGHUP loads the weights again; Ctrl-C or SIGTERM answers what was accepted, and
ends. Only this machine reaches the service, unless --host says otherwise.";

/// The most bytes of a file of tokens.
const TOKENS: u64 = 1 << 20;

/// Answer about images over HTTP and gRPC, with a page to look at.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Trained .safetensors, folder of a run, or bare weights; auto for the published ones of --model. Repeat it for
    /// several models. [default NAME: that of the file or run]
    #[arg(long, value_name = "[NAME[:VERSION]=]FILE|RUN|auto", required = true)]
    weights: Vec<String>,
    /// The network of bare weights: a family member, with a tag (resnet50.a1_in1k) or without, or a SPEC.toml.
    /// [default: told by their tensors]
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    #[command(flatten)]
    preprocessing: PreprocessArguments,
    /// Where a file holds several sets of weights, which: `model_ema`.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Address to listen on; 0.0.0.0 for every machine that reaches this one.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port; 0 for any that is free.
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,
    /// Threads for computing, for all models together. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
    #[command(flatten)]
    limits: Limits,
    /// File of bearer tokens, one a line, one of which a request must bring.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Certificate chain in PEM, for TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Form of the log on standard error.
    #[arg(long, value_name = "FORM", default_value = "text")]
    log: Log,
}

/// Limits and times.
#[derive(Debug, Args)]
struct Limits {
    /// Images that go through a network together, at most.
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,
    /// Longest wait of an image for others to go with.
    #[arg(long, value_name = "MS", default_value_t = 2)]
    max_delay_ms: u64,
    /// Images that are accepted and not yet answered, at most; more get 503.
    #[arg(long, value_name = "N", default_value_t = 64)]
    queue: usize,
    /// Longest time to an answer; later ones become 504.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    deadline_ms: u64,
    /// Largest body of a request, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 16)]
    body_limit: usize,
    /// Longest time that a client takes for a request's headers, and between requests.
    #[arg(long, value_name = "S", default_value_t = 10)]
    header_timeout: u64,
    /// Longest time that a client takes for a request's body.
    #[arg(long, value_name = "S", default_value_t = 30)]
    body_timeout: u64,
    /// Connections at a time, at most; more wait.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    connections: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Log {
    Json,
    Text,
    Off,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let options = arguments.options()?;
    let models = arguments.sources()?;
    let server = ServerOptions::default().with(|server| {
        (server.address, server.port) = (arguments.host, arguments.port);
        server.tls = arguments.tls_certificate.clone().zip(arguments.tls_key.clone());
    });
    let (is_open, is_tls) = (options.tokens.is_empty(), server.tls.is_some());
    let service = Service::start(models, options)?;
    let server = Server::start(&service, &server)?;
    for (name, version) in service.models() {
        note(&format!("serving {name}, version {version}"));
    }
    if !server.address().ip().is_loopback() && (is_open || !is_tls) {
        let missing = match (is_open, is_tls) {
            (true, false) => "without tokens and without TLS",
            (true, true) => "without tokens",
            _ => "without TLS",
        };
        note(&format!("every machine that reaches {} may ask, {missing}", server.address()));
    }
    let signals = signals::listen(&service, server.stop_handle())?;
    let scheme = if is_tls { "https" } else { "http" };
    // Whoever reads the address may leave after it.
    match Output::new().line(format_args!("{scheme}://{}", server.address())) {
        Ok(()) | Err(Failure::OutputClosed) => {}
        Err(failure) => return Err(failure),
    }
    server.wait();
    signals.close();
    Ok(())
}

impl Arguments {
    fn options(&self) -> Outcome<Options> {
        let limits = &self.limits;
        let tokens = self.tokens.as_deref().map(tokens).transpose()?.unwrap_or_default();
        Ok(Options::default().with(|options| {
            options.threads = Some(threads::count(self.threads));
            options.batch = limits.batch;
            options.max_delay = Duration::from_millis(limits.max_delay_ms);
            options.queue = limits.queue;
            options.deadline = Duration::from_millis(limits.deadline_ms);
            options.body_limit = limits.body_limit.saturating_mul(1 << 20);
            options.header_timeout = Duration::from_secs(limits.header_timeout);
            options.body_timeout = Duration::from_secs(limits.body_timeout);
            options.connections = limits.connections;
            options.tokens = tokens;
            options.log = match self.log {
                Log::Json => LogFormat::Json,
                Log::Text => LogFormat::Text,
                Log::Off => LogFormat::Off,
            };
        }))
    }

    fn sources(&self) -> Outcome<Vec<ModelSource>> {
        let source = |text: &String| {
            let Named { name, version, path } = Named::parse(text, self.model.as_deref())?;
            let (model, key) = (self.model.clone(), self.key.clone());
            let preprocessing = self.preprocessing.clone();
            let source = ModelSource::new(name, move || {
                let opened = network::open(&path, model.as_deref(), key.as_deref());
                opened.and_then(|opened| preprocessing.apply(opened, model.as_deref())).map_err(words)
            });
            Ok(match version {
                Some(version) => source.version(version),
                None => source,
            })
        };
        self.weights.iter().map(source).collect()
    }
}

/// Message of a failure.
fn words(failure: Failure) -> String {
    match failure {
        Failure::Error { message, .. } => message,
        _ => "cannot be loaded".to_owned(),
    }
}

/// Tokens of a file, one a line.
fn tokens(file: &Path) -> Outcome<Vec<String>> {
    let within = |failure: Failure| failure.within(escaped(file));
    let bytes = residual_files::read(file, TOKENS).map_err(|error| within(Failure::from(error)))?;
    let text = String::from_utf8(bytes).map_err(|_| within(Failure::new("tokens are text, one a line")))?;
    let tokens: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match tokens.is_empty() {
        true => {
            Err(within(Failure::new("no token; help: write one a line, such as of `openssl rand -hex 32`")))
        }
        false => Ok(tokens),
    }
}
