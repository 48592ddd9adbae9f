//! The TLS of all sides: one configuration of rustls, and its clients. The certificate is made by the
//! server when it starts, which tells it to its parent in hexadecimal.

use crate::harness::{self, Result};
use crate::load::Stream;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

const NAME: &str = "localhost";

/// The server's, whose certificate this tells.
pub(crate) fn server() -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a good name");
    let certificate = made.cert.der().clone();
    let mut text = String::new();
    for byte in certificate.iter() {
        write!(text, "{byte:02x}").expect("a string takes all");
    }
    harness::tell(&text);
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .expect("its own key");
    Arc::new(config)
}

/// That of the clients of a server which has told `certificate`.
pub(crate) fn clients(certificate: &str) -> Result<Arc<ClientConfig>> {
    let bytes = (0..certificate.len())
        .step_by(2)
        .map(|at| certificate.get(at..at + 2).ok_or("half a byte"))
        .map(|digits| Ok(u8::from_str_radix(digits?, 16)?))
        .collect::<Result<Vec<u8>>>()?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(bytes))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A client's end.
pub(crate) struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    /// Shakes hands.
    pub(crate) fn over(mut stream: TcpStream, config: &Arc<ClientConfig>) -> Result<Client> {
        let mut tls = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME)?)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Client(StreamOwned::new(tls, stream)))
    }
}

impl Read for Client {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Client {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Client {
    fn socket(&self) -> &TcpStream {
        &self.0.sock
    }
}
