//! Certificates, made anew for each run.
#![allow(dead_code, unreachable_pub)]

use actor_net::tls::{ClientTls, Identity, Roots, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority, to sign with and to be trusted.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Pem {
    pub chain: String,
    pub key: String,
}

impl Pem {
    pub fn identity(&self) -> Identity {
        Identity::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn roots(&self) -> Roots {
        Roots::from_pem(self.pem().as_bytes()).unwrap()
    }

    /// A certificate for these names.
    pub fn certify(&self, names: &[&str]) -> Pem {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, names[0].as_str());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pem {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub fn identity(&self, names: &[&str]) -> Identity {
        self.certify(names).identity()
    }
}

/// Two ends that trust each other: the server is called `localhost`.
pub fn both() -> (ServerTls, ClientTls) {
    let authority = Authority::new("authority");
    let server = ServerTls::new(authority.identity(&["localhost", "127.0.0.1"])).unwrap();
    (server, ClientTls::new(authority.roots()).unwrap())
}
