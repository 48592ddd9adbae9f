//! What a connection costs that has had an answer and stays open: resident memory of the server. Fair because
//! each has had the same request and answer, and because few are served at first, so that what the server has
//! whatever the number is there before.

use crate::harness::{self, Child, Figure, Group, Metric, Result, Setup, Side};
use crate::tools::{self, Need};
use crate::web::{PLAINTEXT, servers};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;

const SETUPS: &[Setup] = &[Setup::OneWorker];

pub(crate) const GROUP: Group = Group {
    name: "http_idle",
    about: "8,000 connections that stay open after a request",
    metrics: &[Metric::lower("idle", "bytes")],
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: |setup| with_files(setup, servers::ours),
    },
    peers: &[
        Side {
            name: "axum",
            setups: SETUPS,
            run: |setup| with_files(setup, servers::axum),
        },
        Side {
            name: "axum_current_thread",
            setups: SETUPS,
            run: |setup| with_files(setup, servers::axum_current_thread),
        },
        Side {
            name: servers::MAY_MINIHTTP,
            setups: SETUPS,
            run: |setup| with_files(setup, servers::may_minihttp),
        },
    ],
    apart: false,
    needs: &[Need::Package(servers::MAY_MINIHTTP)],
    drive: |child, _| harness::serve(child, load),
};

fn with_files(setup: Setup, serve: fn(Setup) -> ExitCode) -> ExitCode {
    // If it does not do, connecting fails in the parent.
    let _ = harness::raise_file_limit();
    serve(setup)
}

const FIRST: usize = 100;
const CONNECTIONS: usize = 8_000;

fn load(address: SocketAddr, server: &Child) -> Result<Vec<Figure>> {
    let limit = harness::raise_file_limit()?;
    if limit < (FIRST + CONNECTIONS + 100) as u64 {
        return Err(format!("only {limit} files may be open").into());
    }
    let first = gather(address, FIRST)?;
    let before = server.resident()?;
    let connections = gather(address, CONNECTIONS)?;
    let bytes = server.resident()?.saturating_sub(before);
    drop((first, connections));
    Ok(vec![Figure::new("idle", bytes as f64 / CONNECTIONS as f64)])
}

/// Connections that have had an answer, one after the other.
fn gather(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let connect = |_| {
        let connection = tools::reach(address)?;
        PLAINTEXT.ask(&connection, true)?;
        Ok(connection)
    };
    (0..count).map(connect).collect()
}
