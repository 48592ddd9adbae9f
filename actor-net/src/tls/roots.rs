//! [`Roots`].

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use actor_core::try_block_on_thread;
use rustls::RootCertStore;

use super::TlsError;
use super::identity::{certificates, read};

/// Whom to trust: certificates that others are signed with.
///
/// ```
/// use actor_net::tls::{ClientTls, Roots};
///
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let own = made.cert.pem();
/// let roots = Roots::from_pem(own.as_bytes()).unwrap();
/// let tls = ClientTls::new(roots).unwrap();
/// ```
#[derive(Clone)]
pub struct Roots(pub(super) Arc<RootCertStore>);

impl Roots {
    /// Those of the system, as its administrator has set them up; the variables `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name others. Only the calling tasklet waits for the files. That takes a
    /// few milliseconds: keep the result.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoRoots`] if none can be used. Single ones that cannot are passed over, and logged.
    ///
    /// ```no_run
    /// use actor_net::Connector;
    /// use actor_net::tls::{ClientTls, Roots, TlsError};
    ///
    /// # fn main() -> Result<(), TlsError> {
    /// let tls = ClientTls::new(Roots::platform()?)?;
    /// let stream = Connector::tls(tls).connect("www.rust-lang.org", 443);
    /// # Ok(())
    /// # }
    /// ```
    pub fn platform() -> Result<Roots, TlsError> {
        let loaded =
            try_block_on_thread(rustls_native_certs::load_native_certs).map_err(io::Error::from)?;
        let mut roots = RootCertStore::empty();
        let (taken, ignored) = roots.add_parsable_certificates(loaded.certs);
        for error in &loaded.errors {
            tracing::warn!(%error, "root certificates of the system passed over");
        }
        if taken == 0 {
            return Err(TlsError::NoRoots(match loaded.errors.first() {
                Some(error) => error.to_string(),
                None => format!("the system has none that can be used, and {ignored} that cannot"),
            }));
        }
        Ok(Roots(Arc::new(roots)))
    }

    /// Mozilla's, as they were when the program was built. For systems that have none of their own; they
    /// age with the program.
    ///
    /// ```
    /// use actor_net::tls::{ClientTls, Roots};
    ///
    /// let tls = ClientTls::new(Roots::webpki()).unwrap();
    /// ```
    #[cfg(feature = "webpki-roots")]
    pub fn webpki() -> Roots {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        Roots(Arc::new(roots.collect()))
    }

    /// Those in a text in PEM, and no others.
    ///
    /// # Errors
    ///
    /// [`TlsError::Pem`] if there is none, and [`TlsError::Protocol`] if one cannot be used.
    ///
    /// ```
    /// use actor_net::tls::Roots;
    ///
    /// assert!(Roots::from_pem(b"nothing of the kind").is_err());
    /// ```
    pub fn from_pem(pem: &[u8]) -> Result<Roots, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots.add(certificate)?;
        }
        Ok(Roots(Arc::new(roots)))
    }

    /// As [`from_pem`](Self::from_pem), out of a file. Only the calling tasklet waits for it.
    ///
    /// # Errors
    ///
    /// As there, and [`TlsError::Io`] if the file cannot be read.
    ///
    /// ```no_run
    /// use actor_net::tls::Roots;
    ///
    /// let roots = Roots::from_file("/etc/our/ca.pem").unwrap();
    /// ```
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Roots, TlsError> {
        Roots::from_pem(&read(path.into())?)
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots")
            .field("certificates", &self.0.len())
            .finish()
    }
}
