//! [`Identity`].

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use actor_core::try_block_on_thread;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{TlsError, provider};

/// Who one end is: a chain of certificates, its own first, and the key that belongs to it.
///
/// ```
/// use actor_net::tls::{Identity, ServerTls};
///
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
/// let tls = ServerTls::new(identity).unwrap();
/// ```
#[derive(Clone)]
pub struct Identity(pub(super) Arc<CertifiedKey>);

impl Identity {
    /// Of certificates and a key in PEM. The key may be in the form of PKCS #8, PKCS #1 or SEC 1; it is not
    /// encrypted.
    ///
    /// # Errors
    ///
    /// [`TlsError::Pem`] if there is no certificate or no key, and [`TlsError::Protocol`] if the key
    /// is of no known kind, or that of another certificate.
    ///
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// use actor_net::tls::Identity;
    ///
    /// let (chain, key) = (made.cert.pem(), other.signing_key.serialize_pem());
    /// Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("the key is another's");
    /// ```
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Identity, TlsError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsError::Pem(format!("no private key: {error}")))?;
        Identity::from_der(chain, key)
    }

    /// As [`from_pem`](Self::from_pem), out of two files, which may be one and the same. Only the calling
    /// tasklet waits for them.
    ///
    /// # Errors
    ///
    /// As there, and [`TlsError::Io`] if a file cannot be read.
    ///
    /// ```no_run
    /// use actor_net::tls::{Identity, ServerTls, TlsError};
    ///
    /// # fn main() -> Result<(), TlsError> {
    /// let tls = ServerTls::new(Identity::from_files("chain.pem", "key.pem")?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_files(
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Identity, TlsError> {
        Identity::from_pem(&read(chain.into())?, &read(key.into())?)
    }

    /// Of certificates and a key in DER, as rustls has them.
    ///
    /// # Errors
    ///
    /// [`TlsError::Protocol`], as [there](Self::from_pem).
    ///
    /// ```
    /// use actor_net::tls::Identity;
    ///
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.der().clone(), made.signing_key.into());
    /// let identity = Identity::from_der(vec![certificate], key).unwrap();
    /// ```
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Identity, TlsError> {
        let key = CertifiedKey::from_der(chain, key, &provider())?;
        Ok(Identity(Arc::new(key)))
    }
}

/// The certificates in a text; at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::Pem("no certificate".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::Pem(error.to_string())),
    }
}

/// Reads a file while only the calling tasklet waits.
pub(super) fn read(path: PathBuf) -> Result<Vec<u8>, TlsError> {
    let shown = path.display().to_string();
    let read = try_block_on_thread(move || fs::read(path)).map_err(io::Error::from);
    read.flatten()
        .map_err(|error| TlsError::Io(io::Error::new(error.kind(), format!("{shown}: {error}"))))
}

/// Tells no secrets.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.0.cert.len())
            .finish_non_exhaustive()
    }
}
