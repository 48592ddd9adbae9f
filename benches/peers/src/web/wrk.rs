//! The load of `wrk`: one thread of it, many connections, each with one request under way or with several,
//! one behind the other.

use super::Page;
use crate::harness::{Child, Figure, Result};
use crate::tools::{self, Need, TemporaryFile};
use std::net::SocketAddr;

pub(crate) const NEED: Need = Need::Command("wrk", "wrk");

const SECONDS: u64 = 2;

pub(crate) struct Load {
    pub(crate) page: &'static Page,
    pub(crate) connections: u64,
    /// How many requests go out together.
    pub(crate) depth: u64,
}

impl Load {
    /// The figures `rate` and `cpu` of `part`; where one request is under way, `p50` and `p99` as well. (What `wrk` takes
    /// times to be that have not been measured, since it was waiting, is wrong with more than one.)
    pub(crate) fn measure(
        &self,
        part: &str,
        address: SocketAddr,
        server: &Child,
    ) -> Result<Vec<Figure>> {
        self.page.check(address, true)?;
        let script = TemporaryFile::new("wrk.lua", &self.script())?;
        let mut wrk = tools::command("wrk")?;
        wrk.args(["--threads", "1", "--connections"])
            .arg(self.connections.to_string())
            .args(["--duration", &format!("{SECONDS}s"), "--script"])
            .arg(script.path())
            .arg(self.page.url(address));
        let cpu = server.cpu_time()?;
        let output = tools::output_of(&mut wrk)?;
        let cpu = server.cpu_time()? - cpu;
        let summary = Summary::parse(&output)?;
        self.judge(&summary)
            .map_err(|error| format!("{error}: {output}"))?;

        let requests = summary.requests as f64;
        let figure = |name, value| Figure::new(&format!("{part}.{name}"), value);
        let mut figures = vec![
            figure("rate", requests / (summary.microseconds as f64 / 1e6)),
            figure("cpu", cpu.as_secs_f64() * 1e6 / requests),
        ];
        if self.depth == 1 {
            figures.push(figure("p50", summary.p50));
            figures.push(figure("p99", summary.p99));
        }
        Ok(figures)
    }

    /// For more than one request at a time, and to have the results in a form that is meant to be read.
    fn script(&self) -> String {
        let pipeline = match self.depth {
            1 => "",
            _ => PIPELINE,
        };
        format!("local depth = {}\n{pipeline}{REPORT}", self.depth)
    }

    /// Every request is to be answered, and with all of the page.
    fn judge(&self, summary: &Summary) -> Result<()> {
        if summary.errors.iter().any(|count| *count != 0) {
            return Err("errors, or answers that are not the page".into());
        }
        let size = self.page.size(true) as u64;
        let whole = summary.requests * size;
        let under_way = self.connections * self.depth * size;
        if summary.requests == 0 || !(whole..=whole + under_way).contains(&summary.bytes) {
            return Err(format!(
                "{} answers of {size} bytes are another size",
                summary.requests
            )
            .into());
        }
        if summary.microseconds < SECONDS * 900_000 {
            return Err("too short".into());
        }
        Ok(())
    }
}

const PIPELINE: &str = r#"
local batch
function init(arguments)
    batch = string.rep(wrk.format(), depth)
end
function request()
    return batch
end
"#;

const REPORT: &str = r#"
function done(summary, latency, requests)
    local errors = summary.errors
    io.write("SUMMARY")
    for _, number in ipairs({
        summary.requests, summary.duration, summary.bytes,
        errors.connect, errors.read, errors.write, errors.status, errors.timeout,
        latency:percentile(50), latency:percentile(99),
    }) do
        io.write(string.format(" %.0f", number))
    end
    io.write("\n")
end
"#;

/// What the script writes.
struct Summary {
    requests: u64,
    microseconds: u64,
    bytes: u64,
    /// When connecting, reading, writing, by status, by time.
    errors: [u64; 5],
    /// In microseconds.
    p50: f64,
    p99: f64,
}

impl Summary {
    fn parse(output: &str) -> Result<Summary> {
        let line = output
            .lines()
            .find_map(|line| line.strip_prefix("SUMMARY "));
        let numbers: std::result::Result<Vec<u64>, _> = line
            .ok_or_else(|| format!("wrk has said nothing of its results: {output}"))?
            .split(' ')
            .map(str::parse)
            .collect();
        let [requests, microseconds, bytes, errors @ .., p50, p99] = &numbers?[..] else {
            return Err(format!("too few numbers of wrk: {output}").into());
        };
        Ok(Summary {
            requests: *requests,
            microseconds: *microseconds,
            bytes: *bytes,
            errors: errors.try_into()?,
            p50: *p50 as f64,
            p99: *p99 as f64,
        })
    }
}
