//! TLS of the server.

use std::path::Path;
use std::sync::Arc;

use residual_files::escaped;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::Error;

/// The most bytes of a certificate chain or a key.
const LARGEST: u64 = 1 << 20;

/// TLS with a certificate chain and its key.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let failed = |file: &Path, detail: String| Error::Tls { file: escaped(file).to_string(), detail };
    let read = |file: &Path| {
        residual_files::read(file, LARGEST).map_err(|error| failed(file, format!("cannot read: {error}")))
    };
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&read(certificate)?).collect();
    let chain = chain.map_err(|error| failed(certificate, format!("no certificate in PEM: {error}")))?;
    if chain.is_empty() {
        return Err(failed(certificate, "no certificate in PEM".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| failed(key, format!("no private key in PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .map_err(|error| failed(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private);
    let mut config = config.map_err(|error| failed(key, format!("the certificate and the key: {error}")))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
