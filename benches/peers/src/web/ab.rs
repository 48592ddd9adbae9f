//! The load of `ab`: a new connection for every request.

use super::Page;
use crate::harness::{Child, Figure, Result};
use crate::tools::{self, Need, TemporaryFile};
use std::fs;
use std::net::SocketAddr;

pub(crate) const NEED: Need = Need::Command("ab", "apache2-utils");

/// How many connections there are at a time, and in all.
pub(crate) const CONNECTIONS: u64 = 100;
pub(crate) const REQUESTS: u64 = 100_000;

/// The figures `rate`, `cpu`, `p50` and `p99`.
pub(crate) fn measure(page: &Page, address: SocketAddr, server: &Child) -> Result<Vec<Figure>> {
    page.check(address, false)?;
    let percentiles = TemporaryFile::new("ab.csv", "")?;
    let mut ab = tools::command("ab")?;
    ab.args(["-q", "-c", &CONNECTIONS.to_string()])
        .args(["-n", &REQUESTS.to_string(), "-e"])
        .arg(percentiles.path())
        .arg(page.url(address));
    let cpu = server.cpu_time()?;
    let output = tools::output_of(&mut ab)?;
    let cpu = server.cpu_time()? - cpu;
    judge(page, &output).map_err(|error| format!("{error}: {output}"))?;

    let rate: f64 = number(&output, "Requests per second:")?;
    let percentiles = fs::read_to_string(percentiles.path())?;
    // In milliseconds.
    let percentile = |prefix| number::<f64>(&percentiles, prefix).map(|time| time * 1e3);
    Ok(vec![
        Figure::new("rate", rate),
        Figure::new("cpu", cpu.as_secs_f64() * 1e6 / REQUESTS as f64),
        Figure::new("p50", percentile("50,")?),
        Figure::new("p99", percentile("99,")?),
    ])
}

/// Every request is to be answered, and with all of the page.
fn judge(page: &Page, output: &str) -> Result<()> {
    let expected = [
        ("Complete requests:", REQUESTS),
        ("Failed requests:", 0),
        ("Document Length:", page.body.len() as u64),
        ("Total transferred:", REQUESTS * page.size(false) as u64),
        ("HTML transferred:", REQUESTS * page.body.len() as u64),
    ];
    for (label, count) in expected {
        if number::<u64>(output, label)? != count {
            return Err(format!("not {count}: {label}").into());
        }
    }
    // They are there only when there are any.
    for errors in ["Write errors:", "Non-2xx responses:"] {
        if output.contains(errors) {
            return Err(errors.into());
        }
    }
    Ok(())
}

/// The number behind a label at the beginning of a line.
fn number<N: std::str::FromStr>(output: &str, label: &str) -> Result<N> {
    let line = output.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    Ok(number.ok_or_else(|| format!("ab has said nothing of {label} {output}"))?)
}
