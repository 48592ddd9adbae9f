//! Messages between two processes. Fair because whoever loads is the same side as whoever serves, written alike for all;
//! because what goes one way is counted by its receiver, and the load waits for that count; and because CPU time and
//! memory are those of both ends. tarpc, tonic and Go's net/rpc have no messages that go one way: in their place are
//! calls with an empty answer, 1,000 at a time (of 64 KiB 64).

use crate::harness::{self, Child, Figure, Group, Metric, Result, Setup, Side};
use crate::runtimes;
use crate::tools::{self, Need};
use bytes::Bytes;
use concurrence::remote::{Config, Full, Node, RemoteRef, Secret, protocol};
use concurrence::{Actor, Addr, Context, Handler, Message, RemoteMessage, Tasklet};
use serde::{Deserialize, Serialize};
use std::env;
use std::mem;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const SETUPS: &[Setup] = &[Setup::OneWorker, Setup::TwoWorkers];

pub(crate) const GROUP: Group = Group {
    name: "remote",
    about: "calls and messages between two processes",
    metrics: METRICS,
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: |setup| ours(setup, |name| Config::new(name)),
    },
    peers: PEERS,
    apart: true,
    needs: NEEDS,
    drive,
};

pub(crate) const SECRET: Group = Group {
    name: "remote_secret",
    about: "the same, ours with a secret and a tag on all that it sends; the peers without",
    metrics: METRICS,
    setups: SETUPS,
    ours: Side {
        name: "concurrence_secret",
        setups: SETUPS,
        run: |setup| {
            ours(setup, |name| {
                let secret = Secret::from_bytes([7; 32]).expect("it is long enough");
                Config::new(name).secret(secret)
            })
        },
    },
    peers: PEERS,
    apart: true,
    needs: NEEDS,
    drive,
};

const PACKAGE: &str = "remote_peers";

const NEEDS: &[Need] = &[
    Need::Command("erl", "erlang-base"),
    Need::Command("go", "golang-go"),
    Need::Package(PACKAGE),
];

const PEERS: &[Side] = &[
    Side {
        name: "ractor_cluster",
        setups: SETUPS,
        run: |setup| theirs("ractor_cluster", setup),
    },
    Side {
        name: "tarpc",
        setups: SETUPS,
        run: |setup| theirs("tarpc", setup),
    },
    Side {
        name: "tonic",
        setups: SETUPS,
        run: |setup| theirs("tonic", setup),
    },
    Side {
        name: "erlang",
        setups: SETUPS,
        run: |setup| script("remote_erlang", setup),
    },
    Side {
        name: "go_net_rpc",
        setups: SETUPS,
        run: |setup| script("remote_go", setup),
    },
];

const METRICS: &[Metric] = &[
    Metric::lower("round_trip.p50", "us"),
    Metric::lower("round_trip.p99", "us"),
    Metric::lower("round_trip.cpu", "s/M"),
    Metric::higher("calls_1.rate", "/s"),
    Metric::lower("calls_1.cpu", "s/M"),
    Metric::higher("calls_100.rate", "/s"),
    Metric::lower("calls_100.cpu", "s/M"),
    Metric::higher("calls_1000.rate", "/s"),
    Metric::lower("calls_1000.cpu", "s/M"),
    Metric::higher("send_32.rate", "/s"),
    Metric::lower("send_32.cpu", "s/M"),
    Metric::lower("send_32.mem", "MB"),
    Metric::higher("send_1k.rate", "/s"),
    Metric::lower("send_1k.cpu", "s/M"),
    Metric::lower("send_1k.mem", "MB"),
    Metric::higher("send_64k.rate", "/s"),
    Metric::lower("send_64k.cpu", "s/M"),
    Metric::lower("send_64k.mem", "MB"),
];

/// What tells a child that it is the load, and where the other end is.
const ADDRESS: &str = "PEERS_REMOTE";

fn drive(server: &mut Child, _: Setup) -> Result<Vec<Figure>> {
    let part = server.metric().to_owned();
    let told = server.told()?;
    let address = told.strip_prefix("LISTENING ");
    let address = address.ok_or_else(|| format!("the server said {told:?}, not where it is"))?;
    let mut load = server.beside(ADDRESS, address)?;
    let told = load.told()?;
    if told != "WARM" {
        return Err(format!("the load said {told:?}").into());
    }
    let before = server.cpu_time()?;
    let mut figures = harness::collect(&mut load, Setup::TwoWorkers)?;
    let cpu = (server.cpu_time()? - before).as_secs_f64();
    let mut take = |metric: &str| -> Result<f64> {
        let place = figures.iter().position(|figure| figure.metric == metric);
        let place = place.ok_or_else(|| format!("no {metric} from the load"))?;
        Ok(figures.swap_remove(place).value)
    };
    let (done, own_cpu, own_memory) = (take("done")?, take("cpu")?, take("mem")?);
    let memory = own_memory + server.most_resident()? as f64;
    figures.push(Figure::new(
        &format!("{part}.cpu"),
        (cpu + own_cpu) * 1e6 / done,
    ));
    figures.push(Figure::new(&format!("{part}.mem"), memory / 1e6));
    Ok(figures)
}

// ---- the peers ----

fn theirs(peer: &str, setup: Setup) -> ExitCode {
    let program = || -> Result<Command> {
        let mut program = tools::package(PACKAGE)?;
        program.arg(peer).arg(setup.workers().to_string());
        match env::var(ADDRESS) {
            Ok(address) => program.args(["load", harness::metric(), &address]),
            Err(_) => program.arg("serve"),
        };
        Ok(program)
    };
    tools::become_program(program())
}

fn script(language: &str, setup: Setup) -> ExitCode {
    let mut program = Command::new(tools::sources().join("run.sh"));
    program.args([language, harness::metric(), &setup.workers().to_string()]);
    program.args(env::var(ADDRESS).ok());
    tools::become_program(Ok(program))
}

// ---- ours ----

type Numbers = [u64; 4];

/// Big enough that no encoding makes them shorter.
const NUMBERS: Numbers = [1 << 60, 2 << 60, 3 << 60, 4 << 60];

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "sink.Call", reply = Numbers)]
struct Call(Numbers);

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "sink.Words")]
struct Words(Numbers);

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "sink.Big")]
struct Big(Bytes);

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "sink.Count", reply = u64)]
struct Count;

protocol! { Counting: Call, Words, Big, Count }

#[derive(Default)]
struct Sink(u64);

impl Actor for Sink {}

impl Handler<Call> for Sink {
    fn handle(&mut self, call: Call, _: &mut Context<Self>) -> Numbers {
        call.0
    }
}

impl Handler<Words> for Sink {
    fn handle(&mut self, words: Words, _: &mut Context<Self>) {
        assert_eq!(words.0, NUMBERS);
        self.0 += 1;
    }
}

impl Handler<Big> for Sink {
    fn handle(&mut self, _: Big, _: &mut Context<Self>) {
        self.0 += 1;
    }
}

impl Handler<Count> for Sink {
    fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
        mem::take(&mut self.0)
    }
}

fn ours(setup: Setup, config: fn(&str) -> Config) -> ExitCode {
    runtimes::concurrence(setup.workers(), move || match env::var(ADDRESS) {
        Ok(address) => load(&address, config("load")),
        Err(_) => serve(config("server")),
    })
}

fn serve(config: Config) {
    let node = Node::listen("127.0.0.1:0", config).expect("a free port");
    let sink = Addr::spawn(Sink::default());
    node.expose("sink", &sink).protocol::<Counting>();
    harness::listening(node.local_addr().expect("it listens"));
    concurrence::sync::Event::new().wait();
}

const TIME: Duration = Duration::from_secs(1);

fn load(address: &str, config: Config) {
    // What waits to be written has the bound that is the default.
    let config = config.outbox(8 << 20, 65_536, Full::Block);
    let node = Node::start(config).expect("a good name");
    let peer = node.connect(address).expect("it listens");
    let sink: RemoteRef<Counting> = peer.lookup("sink").expect("it is exposed");
    for _ in 0..1_000 {
        call(&sink);
    }
    harness::tell("WARM");
    let cpu = harness::own_cpu_time().expect("there is such a clock");
    let start = Instant::now();
    let part = harness::metric();
    let done = match part.split_once('_').expect("as above") {
        ("round", _) => round_trips(&sink),
        ("calls", many) => at_a_time(&sink, many.parse().expect("a number")),
        (_, "32") => sends(&sink, || Words(NUMBERS)),
        (_, size) => {
            let size = if size == "1k" { 1 << 10 } else { 1 << 16 };
            let bytes = Bytes::from(vec![7; size]);
            sends(&sink, || Big(bytes.clone()))
        }
    };
    if part != "round_trip" {
        let rate = done as f64 / start.elapsed().as_secs_f64();
        harness::report(&format!("{part}.rate"), rate);
    }
    let cpu = harness::own_cpu_time().expect("there is such a clock") - cpu;
    harness::report("done", done as f64);
    harness::report("cpu", cpu.as_secs_f64());
    let memory = harness::own_most_resident().expect("it can be read");
    harness::report("mem", memory as f64);
    node.close();
}

fn call(sink: &RemoteRef<Counting>) {
    assert_eq!(sink.call(Call(NUMBERS)), Ok(NUMBERS));
}

fn round_trips(sink: &RemoteRef<Counting>) -> u64 {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < TIME {
        let before = Instant::now();
        call(sink);
        times.push(before.elapsed());
    }
    times.sort();
    let microseconds = |time: Duration| time.as_nanos() as f64 / 1e3;
    harness::report("round_trip.p50", microseconds(times[times.len() / 2]));
    harness::report(
        "round_trip.p99",
        microseconds(times[times.len() * 99 / 100]),
    );
    times.len() as u64
}

fn at_a_time(sink: &RemoteRef<Counting>, tasklets: usize) -> u64 {
    let start = Instant::now();
    let done = Arc::new(AtomicU64::new(0));
    let tasklets: Vec<_> = (0..tasklets)
        .map(|_| {
            let (sink, done) = (sink.clone(), done.clone());
            Tasklet::spawn(move || {
                while start.elapsed() < TIME {
                    call(&sink);
                    done.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for tasklet in tasklets {
        tasklet.join().expect("it does not panic");
    }
    done.load(Relaxed)
}

fn sends<M: RemoteMessage>(sink: &RemoteRef<Counting>, message: impl Fn() -> M) -> u64
where
    Counting: concurrence::remote::Takes<M>,
{
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < TIME {
        for _ in 0..16 {
            assert!(sink.send(message()).is_ok());
        }
        done += 16;
    }
    assert_eq!(come(sink), done, "all have come");
    done
}

fn come(sink: &RemoteRef<Counting>) -> u64 {
    sink.call(Count).expect("it counts")
}
