//! Fetches many URLs at once, and says what each gave as it comes.
//!
//! - `fetch_all URL...`. Try it: `cargo run --example fetch_all https://www.rust-lang.org https://crates.io`.
//! - `-f FILE` takes the URLs from a file, one on a line; from standard input if it is called `-`.
//! - `-n N` fetches at most N at a time, 10 otherwise; `-t SECONDS` gives each so much time, 30 otherwise.
//!
//! The exit code is 1 if one could not be fetched. Whatever the status, it has been.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs};

use concurrence::channel::Channel;
use concurrence::net::http::{FetchError, HttpClient, StatusCode, Timeouts};
use concurrence::{BoxError, Placement, Tasklet, dispatch, io};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};

const USAGE: &str = "usage: fetch_all [-n N] [-t SECONDS] [-f FILE] [URL...]";

struct Job {
    urls: Vec<String>,
    at_once: usize,
    time: Duration,
}

impl Job {
    fn from_args() -> Result<Job, BoxError> {
        let mut job = Job {
            urls: Vec::new(),
            at_once: 10,
            time: Duration::from_secs(30),
        };
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "-n" => job.at_once = args.next().ok_or(USAGE)?.parse()?,
                "-t" => job.time = Duration::from_secs(args.next().ok_or(USAGE)?.parse()?),
                "-f" => job.read(&args.next().ok_or(USAGE)?)?,
                url => job.urls.push(url.to_owned()),
            }
        }
        if job.urls.is_empty() || job.at_once == 0 {
            return Err(USAGE.into());
        }
        Ok(job)
    }

    fn read(&mut self, path: &str) -> io::Result<()> {
        let text = match path {
            "-" => io::read_to_string(std::io::stdin())?,
            path => fs::read_to_string(path)?,
        };
        let lines = text.lines().map(str::trim);
        let urls = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        self.urls.extend(urls.map(str::to_owned));
        Ok(())
    }
}

/// What a URL gave, and how long it took.
struct Fetched {
    url: String,
    outcome: Result<(StatusCode, u64), BoxError>,
    time: Duration,
}

fn fetch(client: &HttpClient, url: String) -> Fetched {
    let begun = Instant::now();
    let get = || {
        let mut answer = client.get(url.as_str())?;
        // Nothing is kept, so a body may be as large as it likes.
        let size = io::copy(answer.body_mut(), &mut io::sink())?;
        Ok((answer.status(), size))
    };
    Fetched {
        outcome: get(),
        time: begun.elapsed(),
        url,
    }
}

/// The tasklets that fetch, and take the next URL when they are done with one.
fn start(job: Job) -> Result<Channel<Fetched>, BoxError> {
    let timeouts = Timeouts::default().with(|limits| limits.total = Some(job.time));
    let client = HttpClient::builder()
        .timeouts(timeouts)
        .proxy_from_environment()?
        .build();
    let at_once = job.at_once.min(job.urls.len());
    let urls = Arc::new(Mutex::new(job.urls.into_iter()));
    let results = Channel::new();
    for _ in 0..at_once {
        let (client, urls, results) = (client.clone(), Arc::clone(&urls), results.clone());
        let next = move || urls.lock().expect("nobody panics with it").next();
        let work = move || {
            while let Some(url) = next() {
                if results.send(fetch(&client, url)).is_err() {
                    break;
                }
            }
        };
        let builder = Tasklet::builder().placement(Placement::LeastLoaded);
        builder.spawn(work)?;
    }
    Ok(results)
}

fn run() -> Result<(), BoxError> {
    let job = Job::from_args()?;
    let (count, begun) = (job.urls.len(), Instant::now());
    let results = start(job)?;
    // On standard error, and only if that is a terminal.
    let bar = ProgressBar::new(count as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);
    let (mut failed, mut bytes) = (0, 0);
    for _ in 0..count {
        let Fetched { url, outcome, time } = results.receive()?;
        let time = time.as_millis();
        let line = match outcome {
            Ok((status, size)) => {
                bytes += size;
                format!("{} {size:>10} B {time:>6} ms {url}", status.as_u16())
            }
            Err(error) => {
                failed += 1;
                let what = match error.downcast_ref::<FetchError>() {
                    Some(error) if error.is_unsent() => "not sent",
                    _ => "failed",
                };
                format!("--- {what:>12} {time:>6} ms {url}: {error}")
            }
        };
        bar.suspend(|| println!("{line}"));
        bar.set_message(HumanBytes(bytes).to_string());
        bar.inc(1);
    }
    bar.finish_and_clear();
    let time = HumanDuration(begun.elapsed());
    println!(
        "{} fetched, {failed} not, {} in {time}",
        count - failed,
        HumanBytes(bytes)
    );
    match failed {
        0 => Ok(()),
        failed => Err(format!("{failed} could not be fetched").into()),
    }
}

fn main() -> ExitCode {
    dispatch(run)
}
