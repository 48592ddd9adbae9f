//! An echo server: a tasklet a connection, and plain blocking reads and writes inside it.
//!
//! - `echo [ADDRESS]` over TCP. Try it: `cargo run --example echo`, then `nc localhost 9007` and type.
//! - `echo --udp [ADDRESS]` sends back each datagram: `nc -u localhost 9007`.
//! - `echo --unix PATH` serves a Unix socket: `nc -U PATH`.
//! - `echo --tls [ADDRESS [CHAIN KEY]]` speaks TLS, with the certificates and the key of these files, in PEM, or with
//!   a certificate of its own making: `openssl s_client localhost:9007`.

use std::env;
use std::process::ExitCode;

use concurrence::io::{self, Split, Write};
use concurrence::net::tls::{Identity, ServerTls, TlsStream};
use concurrence::net::{Family, Server, Stream, UdpSocket};
use concurrence::{BoxError, dispatch};

const DEFAULT: &str = "localhost:9007";

/// Blocks this connection's tasklet alone: a thousand others are served meanwhile. Ends when the peer
/// says no more, or the program is to end.
fn echo<F: Family>(mut stream: Stream<F>) -> io::Result<()> {
    let mut buf = vec![0; 16 * 1024];
    while let Some(len) = stream.read_or_stop(&mut buf)? {
        if len == 0 {
            break;
        }
        stream.write_all(&buf[..len])?;
    }
    Ok(())
}

/// The same over TLS. A stop is heard by the half of a stream that reads.
fn echo_tls(stream: TlsStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let mut buf = vec![0; 16 * 1024];
    while let Some(len) = reader.read_or_stop(&mut buf)? {
        if len == 0 {
            break;
        }
        writer.write_all(&buf[..len])?;
    }
    Ok(())
}

fn serve_udp(addr: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(addr)?;
    eprintln!("listening on {}", socket.local_addr()?);
    let mut buf = vec![0; 65536];
    while let Some(datagram) = socket.receive_or_stop(&mut buf)? {
        // One that cannot be sent back concerns nobody else.
        if let Err(error) = socket.send_to(&buf[..datagram.len], datagram.from) {
            eprintln!("{}: {error}", datagram.from);
        }
    }
    Ok(())
}

/// Who the server says it is.
fn identity(files: Option<(String, String)>) -> Result<Identity, BoxError> {
    if let Some((chain, key)) = files {
        return Ok(Identity::from_files(chain, key)?);
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    Ok(Identity::from_pem(chain.as_bytes(), key.as_bytes())?)
}

fn serve_tls(addr: &str, files: Option<(String, String)>) -> Result<(), BoxError> {
    let tls = ServerTls::new(identity(files)?)?;
    Ok(Server::bind(addr)?.tls(tls).run(echo_tls)?)
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let mut args = env::args().skip(1).peekable();
    let flag = args.next_if(|arg| arg.starts_with("--"));
    let addr = args.next();
    let more: Vec<_> = args.collect();
    match (flag.as_deref(), addr, &*more) {
        (None, addr, []) => {
            let addr = addr.unwrap_or(DEFAULT.to_owned());
            dispatch(|| Server::serve(addr, echo))
        }
        (Some("--udp"), addr, []) => {
            let addr = addr.unwrap_or(DEFAULT.to_owned());
            dispatch(move || serve_udp(&addr))
        }
        (Some("--unix"), Some(path), []) => dispatch(|| Server::serve_unix(path, echo)),
        (Some("--tls"), addr, files @ ([] | [_, _])) => {
            let addr = addr.unwrap_or(DEFAULT.to_owned());
            let files = match files {
                [chain, key] => Some((chain.clone(), key.clone())),
                _ => None,
            };
            dispatch(move || serve_tls(&addr, files))
        }
        _ => {
            eprintln!(
                "usage: echo [ADDRESS | --udp [ADDRESS] | --unix PATH | --tls [ADDRESS [CHAIN KEY]]]"
            );
            ExitCode::FAILURE
        }
    }
}
