//! Pairs ours with the peers: A B A B ..., several rounds, medians, one table.
//!
//! A runtime has a fixed number of workers and there may be one in a process, so each measurement is
//! a child process: this program again, told group, side and setup. Both sides get the same number
//! of workers and the same CPUs, follow each other at once in every round (so that a machine that
//! slows down slows all of them down), and the peer of a row is whichever of the peers' variants did
//! best in it. A wrong result on either side ends the whole run.

use crate::tools::Need;
use std::cmp::Ordering;
use std::env;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem;
use std::net::SocketAddr;
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How often each side is measured; a row shows the medians.
pub(crate) const ROUNDS: usize = 5;

/// A child that has not ended by then is stuck.
const CHILD_SECONDS: u32 = 60;

/// The flag that makes this program a child.
const CHILD: &str = "--child";

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A set of measurements of one thing.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    /// What is measured, in half a line.
    pub(crate) about: &'static str,
    pub(crate) metrics: &'static [Metric],
    pub(crate) setups: &'static [Setup],
    /// Ours.
    pub(crate) ours: Side,
    /// The peers, in all their variants, of which the best counts.
    pub(crate) peers: &'static [Side],
    /// Whether every metric is measured in a process of its own, which asks [`metric`] for it. Metrics
    /// `part.figure` of the same part are measured together, and what is asked for is the part.
    pub(crate) apart: bool,
    /// What it takes that not every machine has.
    pub(crate) needs: &'static [Need],
    /// What this process does while the child runs: collect its figures, or load it.
    pub(crate) drive: fn(&mut Child, Setup) -> Result<Vec<Figure>>,
}

/// One column of figures.
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

impl Metric {
    pub(crate) const fn lower(name: &'static str, unit: &'static str) -> Metric {
        Metric {
            name,
            unit,
            better: Better::Lower,
        }
    }

    pub(crate) const fn higher(name: &'static str, unit: &'static str) -> Metric {
        Metric {
            name,
            unit,
            better: Better::Higher,
        }
    }

    /// What is measured in one process with it, where metrics are measured [apart](Group::apart).
    pub(crate) fn part(&self) -> &'static str {
        self.name
            .split_once('.')
            .map_or(self.name, |(part, _)| part)
    }
}

/// Which way is up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// One implementation of what a group measures.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    /// Where it takes part: a runtime of one thread has no place among two workers.
    pub(crate) setups: &'static [Setup],
    /// Runs in the child: works and reports, or serves until it is killed.
    pub(crate) run: fn(Setup) -> ExitCode,
}

/// A figure for the metric of that name.
pub(crate) struct Figure {
    pub(crate) metric: String,
    pub(crate) value: f64,
}

impl Figure {
    pub(crate) fn new(metric: &str, value: f64) -> Figure {
        Figure {
            metric: metric.to_owned(),
            value,
        }
    }
}

/// Workers and CPUs, the same for every side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// One worker, which shares its CPU with the load: what counts is all the work a request
    /// causes, and nobody gains by sleeping. The steadiest figures.
    OneCore,
    /// One worker on a CPU of its own, the load on another.
    OneWorker,
    /// Two workers, placed by the system.
    TwoWorkers,
    /// Two workers, and the two ends of the exchange are on different ones.
    Across,
}

impl Setup {
    const ALL: [Setup; 4] = [
        Setup::OneCore,
        Setup::OneWorker,
        Setup::TwoWorkers,
        Setup::Across,
    ];

    /// How many workers a runtime has here.
    pub(crate) fn workers(self) -> usize {
        match self {
            Setup::OneCore | Setup::OneWorker => 1,
            Setup::TwoWorkers | Setup::Across => 2,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Setup::OneCore => "1core",
            Setup::OneWorker => "1w",
            Setup::TwoWorkers => "2w",
            Setup::Across => "across",
        }
    }

    fn from_label(label: &str) -> Option<Setup> {
        Setup::ALL.into_iter().find(|setup| setup.label() == label)
    }

    /// The CPUs of the child and of the load, out of those this process may use.
    fn cpus(self, available: &[usize]) -> (&[usize], &[usize]) {
        let (first, last) = (&available[..1], &available[available.len() - 1..]);
        match self {
            Setup::OneCore => (first, first),
            Setup::OneWorker => (first, last),
            Setup::TwoWorkers | Setup::Across => (available, available),
        }
    }
}

// ---- the child's end ----

/// What a child has been told to do.
pub(crate) struct Task {
    group: String,
    side: String,
    setup: Setup,
    /// For a group whose metrics are measured apart: the part.
    metric: Option<String>,
}

/// What this child is to measure.
static METRIC: OnceLock<String> = OnceLock::new();

/// The metric, or the part of several, that this child of a group whose metrics are measured
/// [apart](Group::apart) is to measure.
pub(crate) fn metric() -> &'static str {
    METRIC.get().expect("a child for one metric")
}

impl Task {
    /// `None` when this process is no child.
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Task> {
        let [flag, group, side, setup, metric @ ..] = arguments else {
            return None;
        };
        (flag == CHILD).then_some(())?;
        Some(Task {
            group: group.clone(),
            side: side.clone(),
            setup: Setup::from_label(setup)?,
            metric: metric.first().cloned(),
        })
    }

    /// Runs it.
    pub(crate) fn run(self, groups: &[&Group]) -> ExitCode {
        // SAFETY: two calls that take integers only; SIGALRM and the parent's end then end this process.
        unsafe {
            libc::alarm(CHILD_SECONDS);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        }
        if let Some(metric) = self.metric {
            let _ = METRIC.set(metric);
        }
        let side = groups
            .iter()
            .filter(|group| group.name == self.group)
            .flat_map(|group| group.sides())
            .find(|side| side.name == self.side);
        match side {
            Some(side) => (side.run)(self.setup),
            None => {
                eprintln!("peers: no side {} in {}", self.side, self.group);
                ExitCode::FAILURE
            }
        }
    }
}

/// Tells the parent a figure.
pub(crate) fn report(metric: &str, value: f64) {
    println!("FIGURE {metric} {value}");
}

/// Tells the parent where this server can be reached.
pub(crate) fn listening(address: SocketAddr) {
    println!("LISTENING {address}");
}

/// Tells the parent what its clients must know of this server before they connect.
pub(crate) fn tell(text: &str) {
    println!("{text}");
}

/// Runs `batch` (which says how many things it did) once to warm up and then for a while, and gives
/// the nanoseconds that one thing took.
pub(crate) fn nanoseconds_each(mut batch: impl FnMut() -> usize) -> f64 {
    batch();
    let mut meter = Meter::start();
    while meter.goes_on() {
        meter.count(batch());
    }
    meter.nanoseconds_each()
}

/// Times a loop whose body cannot be a closure: that of an `async` side.
pub(crate) struct Meter {
    start: Instant,
    elapsed: Duration,
    done: usize,
}

impl Meter {
    const TIME: Duration = Duration::from_millis(300);

    pub(crate) fn start() -> Meter {
        Meter {
            start: Instant::now(),
            elapsed: Duration::ZERO,
            done: 0,
        }
    }

    pub(crate) fn goes_on(&self) -> bool {
        self.elapsed < Meter::TIME
    }

    pub(crate) fn count(&mut self, done: usize) {
        self.done += done;
        self.elapsed = self.start.elapsed();
    }

    pub(crate) fn nanoseconds_each(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.done as f64
    }
}

// ---- the parent's end ----

/// A running measurement.
pub(crate) struct Child {
    process: process::Child,
    output: BufReader<process::ChildStdout>,
    /// With what it was started.
    arguments: Vec<String>,
    metric: Option<String>,
}

impl Child {
    fn start(group: &Group, side: &Side, setup: Setup, metric: Option<&str>) -> Result<Child> {
        let mut arguments = vec![CHILD, group.name, side.name, setup.label()];
        arguments.extend(metric);
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Child::spawn(arguments, metric.map(str::to_owned), None)
    }

    fn spawn(
        arguments: Vec<String>,
        metric: Option<String>,
        variable: Option<(&str, &str)>,
    ) -> Result<Child> {
        let mut process = Command::new(env::current_exe()?)
            .args(&arguments)
            .envs(variable)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().expect("stdout is piped");
        Ok(Child {
            process,
            output: BufReader::new(output),
            arguments,
            metric,
        })
    }

    /// Starts the same side once more, on the CPUs of the load, where it sees `value` in the variable `name`.
    pub(crate) fn beside(&self, name: &str, value: &str) -> Result<Child> {
        let (arguments, metric) = (self.arguments.clone(), self.metric.clone());
        Child::spawn(arguments, metric, Some((name, value)))
    }

    /// What it has been told to measure: see [`metric`].
    pub(crate) fn metric(&self) -> &str {
        self.metric.as_deref().expect("a child for one metric")
    }

    /// What a server [tells](tell).
    pub(crate) fn told(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// The address that a server has told.
    pub(crate) fn address(&mut self) -> Result<SocketAddr> {
        let line = self.told()?;
        let address = line.strip_prefix("LISTENING ");
        let address =
            address.ok_or_else(|| format!("the server said {line:?}, not where it is"))?;
        Ok(address.parse()?)
    }

    /// The CPU time that the child has used so far, in all its threads.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let mut clock: libc::clockid_t = 0;
        let pid = self.process.id() as libc::pid_t;
        // SAFETY: `clock` is a valid place for the clock's id.
        let status = unsafe { libc::clock_getcpuclockid(pid, &mut clock) };
        if status != 0 {
            return Err(io::Error::from_raw_os_error(status).into());
        }
        read_clock(clock)
    }

    /// The memory of the child that is resident, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        resident(&format!("/proc/{}/statm", self.process.id()))
    }

    /// The most memory of the child that has been resident, in bytes.
    pub(crate) fn most_resident(&self) -> Result<u64> {
        most_resident(&format!("/proc/{}/status", self.process.id()))
    }

    /// Whether a server still runs, as it must until it is killed.
    fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Only a server is still there, or the child of a run that has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The memory of this process that is resident, in bytes.
pub(crate) fn own_resident() -> Result<u64> {
    resident("/proc/self/statm")
}

/// The most memory of this process that has been resident, in bytes.
pub(crate) fn own_most_resident() -> Result<u64> {
    most_resident("/proc/self/status")
}

fn most_resident(status: &str) -> Result<u64> {
    let status = fs::read_to_string(status)?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kilobytes.ok_or("there is such a line")?.parse::<u64>()? * 1024)
}

fn resident(statm: &str) -> Result<u64> {
    let sizes = fs::read_to_string(statm)?;
    let pages = sizes.split(' ').nth(1).ok_or("the second is resident")?;
    // SAFETY: takes an integer.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Ok(pages.parse::<u64>()? * page as u64)
}

/// Lets this process have as many files open as it may.
pub(crate) fn raise_file_limit() -> Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for a limit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is one.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(limit.rlim_cur)
}

/// The CPU time that this process has used so far.
pub(crate) fn own_cpu_time() -> Result<Duration> {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn read_clock(clock: libc::clockid_t) -> Result<Duration> {
    // SAFETY: all zeroes is a valid `timespec`.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: `time` is a valid place for the time.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Drives a child that measures by itself.
pub(crate) fn collect(child: &mut Child, _: Setup) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for line in child.output.by_ref().lines() {
        let line = line?;
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("FIGURE"), Some(metric), Some(value)) => {
                figures.push(Figure::new(metric, value.parse()?));
            }
            _ => return Err(format!("not a figure: {line:?}").into()),
        }
    }
    let status = child.process.wait()?;
    if !status.success() {
        return Err(format!("the child ended with {status}").into());
    }
    Ok(figures)
}

/// Drives a child that serves: `load` is given its address.
pub(crate) fn serve(
    child: &mut Child,
    load: impl FnOnce(SocketAddr, &Child) -> Result<Vec<Figure>>,
) -> Result<Vec<Figure>> {
    let address = child.address()?;
    let figures = load(address, child)?;
    if !child.is_running()? {
        return Err("the server ended under load".into());
    }
    Ok(figures)
}

impl Group {
    fn sides(&self) -> impl Iterator<Item = &Side> {
        std::iter::once(&self.ours).chain(self.peers)
    }

    /// What is measured in one process, and what that process is told of it.
    fn parts(&self, only: Option<&str>) -> Vec<(&[Metric], Option<&'static str>)> {
        if !self.apart {
            return vec![(self.metrics, None)];
        }
        let parts = self
            .metrics
            .chunk_by(|one, other| one.part() == other.part());
        parts
            .map(|metrics| (metrics, Some(metrics[0].part())))
            .filter(|(_, part)| only.is_none() || only == *part)
            .collect()
    }

    /// Measures all sides in `setup`, round by round, and gives a row a metric.
    fn measure(
        &self,
        (metrics, told): (&[Metric], Option<&str>),
        setup: Setup,
        rounds: usize,
    ) -> Result<Vec<Row>> {
        let sides: Vec<&Side> = self
            .sides()
            .filter(|side| side.setups.contains(&setup))
            .collect();
        // samples[metric][side]
        let mut samples = vec![vec![Vec::with_capacity(rounds); sides.len()]; metrics.len()];
        for _ in 0..rounds {
            for (position, side) in sides.iter().enumerate() {
                let figures = self.measure_once(side, setup, told).map_err(|error| {
                    format!(
                        "{} of {} ({}): {error}",
                        side.name,
                        self.name,
                        setup.label()
                    )
                })?;
                for (metric, samples) in metrics.iter().zip(&mut samples) {
                    let figure = figures.iter().find(|figure| figure.metric == metric.name);
                    let figure = figure.ok_or_else(|| {
                        format!("{} of {} gave no {}", side.name, self.name, metric.name)
                    })?;
                    samples[position].push(figure.value);
                }
            }
        }
        Ok(metrics
            .iter()
            .zip(samples)
            .map(|(metric, samples)| {
                let mut results = sides.iter().zip(samples).map(|(side, samples)| Sample {
                    side: side.name,
                    median: median(samples),
                });
                let ours = results.next().expect("ours comes first");
                let mut peers: Vec<Sample> = results.collect();
                peers.sort_by(|one, other| metric.order(one, other));
                Row {
                    name: format!("{}/{}-{}", self.name, metric.name, setup.label()),
                    unit: metric.unit,
                    better: metric.better,
                    ours,
                    peers,
                }
            })
            .collect())
    }

    fn measure_once(&self, side: &Side, setup: Setup, metric: Option<&str>) -> Result<Vec<Figure>> {
        let available = affinity()?;
        let (child_cpus, load_cpus) = setup.cpus(&available);
        // The child inherits what this process has when it starts.
        set_affinity(child_cpus)?;
        let child = Child::start(self, side, setup, metric);
        set_affinity(load_cpus)?;
        let figures = child.and_then(|mut child| (self.drive)(&mut child, setup));
        set_affinity(&available)?;
        figures
    }
}

impl Metric {
    /// Puts the better first.
    fn order(&self, one: &Sample, other: &Sample) -> Ordering {
        match self.better {
            Better::Lower => one.median.total_cmp(&other.median),
            Better::Higher => other.median.total_cmp(&one.median),
        }
    }
}

/// A side's result in one row.
struct Sample {
    side: &'static str,
    median: f64,
}

struct Row {
    name: String,
    unit: &'static str,
    ours: Sample,
    /// Never empty, the best comes first.
    peers: Vec<Sample>,
    better: Better,
}

/// What is to be measured: a group, or one metric or part of a group that measures them apart.
pub(crate) struct Choice {
    pub(crate) group: &'static Group,
    pub(crate) metric: Option<&'static str>,
    /// Whether it was asked for: if it takes what is not there, that is an error then.
    pub(crate) named: bool,
}

/// Measures what was chosen and prints one table, then its rows for programs to read.
pub(crate) fn compare(choices: &[Choice], rounds: usize) -> Result<()> {
    let started = Instant::now();
    let mut rows = Vec::new();
    println!("{}", Line(["", "ours", "peer", "", "ratio"]));
    for choice in choices {
        let Choice { group, metric, .. } = choice;
        println!("{}: {}", group.name, group.about);
        if let Err(missing) = group.needs.iter().try_for_each(Need::meet) {
            if choice.named {
                return Err(missing);
            }
            println!("  not measured: {missing}");
            continue;
        }
        for part in group.parts(*metric) {
            for setup in group.setups {
                for row in group.measure(part, *setup, rounds)? {
                    println!("{row}");
                    rows.push(row);
                }
                io::stdout().flush()?;
            }
        }
    }
    println!(
        "\nmedians of {rounds} rounds, {} s; a ratio above 1 means that ours is better\n",
        started.elapsed().as_secs()
    );
    for row in &rows {
        println!("{}", row.for_programs());
    }
    Ok(())
}

impl Row {
    /// Above 1: ours is better.
    fn ratio(&self, peer: &Sample) -> f64 {
        match self.better {
            Better::Lower => peer.median / self.ours.median,
            Better::Higher => self.ours.median / peer.median,
        }
    }

    fn for_programs(&self) -> String {
        let (ours, peer) = (&self.ours, &self.peers[0]);
        format!(
            "RATIO {} {} {} {} {} {:.2}",
            self.name,
            plain(ours.median),
            self.unit,
            peer.side,
            plain(peer.median),
            self.ratio(peer)
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |sample: &Sample| format!("{} {}", grouped(sample.median), self.unit);
        let ratio = |peer: &Sample| format!("{:.2}", self.ratio(peer));
        let mut peers = self.peers.iter();
        let best = peers.next().expect("a row has a peer");
        Line([
            &self.name,
            &figure(&self.ours),
            &figure(best),
            best.side,
            &ratio(best),
        ])
        .fmt(f)?;
        for other in peers {
            f.write_str("\n")?;
            Line(["", "", &figure(other), other.side, &ratio(other)]).fmt(f)?;
        }
        Ok(())
    }
}

/// The columns: measure, ours, the peer's, the peer, ratio.
struct Line<'a>([&'a str; 5]);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line([name, ours, theirs, peer, ratio]) = self;
        let line = format!("  {name:<27} {ours:>16} {theirs:>16}  {peer:<30} {ratio:>5}");
        f.write_str(line.trim_end())
    }
}

/// Three significant digits or the whole number.
fn plain(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// The same, with the thousands set apart.
fn grouped(value: f64) -> String {
    let text = plain(value);
    let whole = text.find('.').unwrap_or(text.len());
    let mut grouped = String::new();
    for (position, digit) in text.char_indices() {
        if position > 0 && position < whole && (whole - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    if samples.len() % 2 == 1 {
        samples[middle]
    } else {
        (samples[middle - 1] + samples[middle]) / 2.0
    }
}

/// The CPUs that this thread may use.
fn affinity() -> Result<Vec<usize>> {
    // SAFETY: all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is a place of the size given.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok((0..libc::CPU_SETSIZE as usize)
        // SAFETY: `cpu` is below the size of the set.
        .filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
        .collect())
}

fn set_affinity(cpus: &[usize]) -> Result<()> {
    // SAFETY: all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for cpu in cpus {
        // SAFETY: the numbers come from `affinity` and are below the size of the set.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: `set` is of the size given.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(())
}
