//! Nodes that are processes: this test's own binary, which takes its orders from its standard input.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use actor_core::{Tasklet, block_on_thread, quit};
use actor_remote::{Node, PeerRef};

use crate::common::{Add, Item, LONG, Log, Logged, Seen, config, deaf, program, secret, until};

/// Which node the process is to be, and where it is to listen.
const NAME: &str = "FAULTS_NODE_NAME";
const ADDR: &str = "FAULTS_NODE_ADDR";

/// Whether they are to have the secret of those that have one.
const SECRET: &str = "FAULTS_NODE_SECRET";

/// After how much silence these nodes ask, and give a link up.
pub(crate) const ASK: Duration = Duration::from_millis(200);
pub(crate) const GIVE_UP: Duration = Duration::from_secs(3);

/// What a line of an answer begins with, among those of the test harness.
const MARK: &str = "node says ";

/// A node in another process.
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Agent {
    /// Starts one.
    pub(crate) fn start(name: &str) -> Agent {
        Agent::start_at(name, "127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn start_at(name: &str, addr: SocketAddr) -> Agent {
        Agent::start_as("agent::a_node", name, addr, &[])
    }

    /// Starts one in a network namespace of its own, where it is reached from elsewhere.
    pub(crate) fn start_in(namespace: &str, name: &str, addr: SocketAddr) -> Agent {
        let settings = [(SECRET, "yes".to_owned())];
        Agent::launch(Some(namespace), "agent::a_node", name, addr, &settings)
    }

    /// Starts a process that is what `role` says, with `settings` in its environment.
    pub(crate) fn start_as(
        role: &'static str,
        name: &str,
        addr: SocketAddr,
        settings: &[(&'static str, String)],
    ) -> Agent {
        Agent::launch(None, role, name, addr, settings)
    }

    fn launch(
        namespace: Option<&str>,
        role: &'static str,
        name: &str,
        addr: SocketAddr,
        settings: &[(&'static str, String)],
    ) -> Agent {
        let name = name.to_owned();
        let settings = settings.to_vec();
        let own = std::env::current_exe().unwrap();
        let mut command = match namespace {
            None => Command::new(own),
            Some(namespace) => {
                // It becomes that program, and is no process besides.
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(own);
                command
            }
        };
        block_on_thread(move || {
            let mut child = command
                .args(["--exact", role, "--nocapture", "--ignored"])
                .env(NAME, &name)
                .env(ADDR, addr.to_string())
                .envs(settings)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let orders = child.stdin.take().unwrap();
            let mut answers = BufReader::new(child.stdout.take().unwrap());
            let addr = answer(&mut answers).parse().unwrap();
            Agent {
                name,
                addr,
                child,
                orders,
                answers,
            }
        })
    }

    /// Gives it an order, and waits for the answer.
    pub(crate) fn order(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        answer(&mut self.answers)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many sockets it has.
    pub(crate) fn sockets(&self) -> usize {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        descriptors
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it, and waits until it has stopped: a thread of it goes on until another has taken the signal.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
        until("it has stopped", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
            let (_, behind_name) = stat.rsplit_once(") ").unwrap();
            behind_name.starts_with('T')
        });
    }

    /// Has it go on.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn answer(answers: &mut impl BufRead) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        let read = answers.read_line(&mut line).unwrap();
        assert!(read > 0, "the node has ended without an answer");
        // The harness says something before it on the same line.
        if let Some(at) = line.find(MARK) {
            return line[at + MARK.len()..].trim_end().to_owned();
        }
    }
}

/// The node that the test's process talks to others as.
pub(crate) fn node(name: &str) -> Node {
    Node::start(config(name).heartbeat(ASK, GIVE_UP)).unwrap()
}

/// Not a test: what the other processes are.
#[test]
#[ignore = "started by the tests that need other processes"]
fn a_node() {
    let Some((name, addr)) = given() else { return };
    program(move || {
        let settings = config(&name).heartbeat(ASK, GIVE_UP);
        let settings = match std::env::var(SECRET) {
            Ok(_) => settings.secret(secret()),
            Err(_) => settings,
        };
        let node = Node::listen(addr, settings).unwrap();
        let logged = Logged::new();
        node.expose("log", &logged.addr).protocol::<Log>();
        let (deaf, _) = deaf();
        node.expose("deaf", deaf.tasklet()).message::<Add>();
        obey(&node, |words| match words {
            ["connect", addr] => connect(&node, addr.parse().unwrap()),
            ["peers"] => peers(&node),
            ["call-all"] => call_all(&node),
            ["send", name, from, to] => {
                send(&node, name, from.parse().unwrap()..to.parse().unwrap())
            }
            ["seen"] => format!("{:?}", logged.addr.call(Seen).unwrap()),
            order => panic!("{order:?} is no order"),
        });
    });
}

/// Which node this process is to be, and where, if it was started to be one.
pub(crate) fn given() -> Option<(String, SocketAddr)> {
    let name = std::env::var(NAME).ok()?;
    Some((name, std::env::var(ADDR).unwrap().parse().unwrap()))
}

/// Says where it is, and does what it is told, until nobody is there any more who could.
pub(crate) fn obey(node: &Node, mut order: impl FnMut(&[&str]) -> String) {
    say(&node.local_addr().unwrap().to_string());
    loop {
        let line = block_on_thread(|| {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            read.is_ok_and(|read| read > 0).then_some(line)
        });
        let Some(line) = line else { return quit(0) };
        let words: Vec<_> = line.split_whitespace().collect();
        say(&order(&words));
    }
}

#[allow(
    clippy::print_stdout,
    reason = "it is how this process talks to the one that has started it"
)]
fn say(answer: &str) {
    println!("{MARK}{answer}");
}

/// In a tasklet of its own, so that two can connect to each other at the same time.
fn connect(node: &Node, addr: SocketAddr) -> String {
    let node = node.clone();
    Tasklet::builder()
        .daemon(true)
        .spawn(move || drop(node.connect(addr)))
        .unwrap();
    "connects".into()
}

/// Sends items with these numbers, and says how many have gone; the last one is a call, and has arrived then.
fn send(node: &Node, name: &str, numbers: std::ops::Range<u64>) -> String {
    let Some(peer) = node.peer(name) else {
        return "0".into();
    };
    let log = peer.unchecked::<Log>("log");
    let gone = numbers.take_while(|n| log.send(Item(*n, "x".repeat(100))).is_ok());
    let gone = gone.count();
    match log.call_timeout(Add(1), LONG) {
        Ok(_) => gone.to_string(),
        Err(error) => format!("{gone} and {error}"),
    }
}

fn peers(node: &Node) -> String {
    let mut names: Vec<_> = node
        .peers()
        .iter()
        .map(|peer| peer.name().to_owned())
        .collect();
    names.sort();
    names.join(" ")
}

/// Calls all peers, and says who has answered.
fn call_all(node: &Node) -> String {
    let mut names: Vec<_> = node
        .peers()
        .iter()
        .filter(|peer| calls(peer))
        .map(|peer| peer.name().to_owned())
        .collect();
    names.sort();
    names.join(" ")
}

fn calls(peer: &PeerRef) -> bool {
    let log = peer.unchecked::<Log>("log");
    log.send(Item(1, String::new())).is_ok() && log.call_timeout(Add(1), LONG).is_ok()
}
