//! A TCP and TLS proxy: it passes on each connection, both ways, with half-closes and all.
//!
//! - `proxy LISTEN UPSTREAM` over TCP. Try it: `cargo run --example echo`,
//!   `cargo run --example proxy localhost:9008 localhost:9007`, and then `nc localhost 9008`.
//! - `--tls-in CHAIN KEY` has clients speak TLS. The files, in PEM, are the server's certificates and its key.
//! - `--tls-out ROOTS` speaks TLS with the server, whose certificate must be signed by one of those in the
//!   file ROOTS, in PEM; `--tls-out system` trusts whom the system trusts.
//!
//! With both it stands in the middle, and sees all that is said.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use concurrence::io::Split;
use concurrence::net::tls::{ClientTls, Identity, Roots, ServerTls, TlsStream};
use concurrence::net::{
    Connector, ConnectorBuilder, Endpoint, Server, TcpStream, copy_bidirectional,
};
use concurrence::{BoxError, Tasklet, dispatch, io};

const USAGE: &str = "usage: proxy [--tls-in CHAIN KEY] [--tls-out ROOTS] LISTEN UPSTREAM";

/// Where connections go.
struct Upstream {
    addr: String,
    connector: ConnectorBuilder,
    tls: Option<ClientTls>,
}

impl Upstream {
    /// Passes on one connection, until both of its ends have ended or the program is to end.
    fn pass_on<S: Stream>(&self, client: S) -> Result<(), BoxError> {
        match &self.tls {
            None => join(client, self.connector.connect(&self.addr)?),
            Some(tls) => {
                let connector = self.connector.clone().tls(tls.clone());
                let (host, _port) = self.addr.rsplit_once(':').ok_or(USAGE)?;
                let host = host.trim_matches(['[', ']']);
                join(client, connector.connect_to(&self.addr, host)?)
            }
        }
    }
}

/// What can be passed on: `TcpStream` and `TlsStream`.
trait Stream:
    Split<Reader: Endpoint + Send + 'static, Writer: Endpoint + Send + 'static> + Send + 'static
{
}

impl<S> Stream for S where
    S: Split<Reader: Endpoint + Send + 'static, Writer: Endpoint + Send + 'static> + Send + 'static
{
}

fn join(client: impl Stream, server: impl Stream) -> Result<(), BoxError> {
    let copy = Tasklet::spawn(move || copy_bidirectional(client, server)).kill_on_drop();
    match copy.join_or_stop()? {
        Some(copied) => copied.map(drop).map_err(Into::into),
        // What is cut off must not look like an end that was meant, as that of a stream of TLS would after a
        // success.
        None => Err("cut off, since the proxy ends".into()),
    }
}

struct Options {
    listen: String,
    upstream: Upstream,
    tls: Option<ServerTls>,
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, BoxError> {
    let (mut tls_in, mut tls_out) = (None, None);
    let mut next = || args.next().ok_or(USAGE);
    let mut arg = next()?;
    loop {
        match &*arg {
            "--tls-in" => {
                tls_in = Some(ServerTls::new(Identity::from_files(next()?, next()?)?)?);
            }
            "--tls-out" => {
                let roots = match &*next()? {
                    "system" => Roots::platform()?,
                    file => Roots::from_file(file)?,
                };
                tls_out = Some(ClientTls::new(roots)?);
            }
            _ if arg.starts_with("--") => return Err(USAGE.into()),
            _ => break,
        }
        arg = next()?;
    }
    let addr = next()?;
    if args.next().is_some() {
        return Err(USAGE.into());
    }
    Ok(Options {
        listen: arg,
        upstream: Upstream {
            addr,
            connector: Connector::builder().timeout(Duration::from_secs(10)),
            tls: tls_out,
        },
        tls: tls_in,
    })
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let Options {
        listen,
        upstream,
        tls,
    } = match options(env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    dispatch(move || {
        let server = Server::bind(listen)?;
        match tls {
            None => server.run(move |client: TcpStream| upstream.pass_on(client)),
            Some(tls) => server
                .tls(tls)
                .run(move |client: TlsStream| upstream.pass_on(client)),
        }
    })
}
