//! Several chat servers as one room, with people at `nc`.

mod common;

use std::io::Write;
use std::net::SocketAddr;

use common::clients::{nc, stops_orderly, words};
use common::{Program, eventually, example};

/// One of the servers.
struct Server {
    name: &'static str,
    program: Program,
    node: SocketAddr,
    people: SocketAddr,
}

const ANY: &str = "127.0.0.1:0";

impl Server {
    fn start(name: &'static str, others: &[&Server]) -> Server {
        let others: Vec<_> = others.iter().map(|other| other.node.to_string()).collect();
        Server::start_at(name, [ANY.into(), ANY.into()], &others)
    }

    fn start_at(name: &'static str, addrs: [String; 2], others: &[String]) -> Server {
        let mut command = example("remote_chat");
        command.arg(name).args(addrs).args(others);
        let program = Program::start(&mut command);
        let (node, people) = program.output("addresses", |text| {
            let line = text.strip_prefix("servers ")?.split_once('\n')?.0;
            let (node, people) = line.split_once(", people ")?;
            Some((node.parse().ok()?, people.parse().ok()?))
        });
        Server {
            name,
            program,
            node,
            people,
        }
    }

    /// The same once more, after its end.
    fn start_again(self, others: &[&Server]) -> Server {
        let Server {
            name,
            program,
            node,
            people,
        } = self;
        program.signal(libc::SIGKILL);
        assert_eq!(program.ended().signal(), Some(libc::SIGKILL));
        let others: Vec<_> = others.iter().map(|other| other.node.to_string()).collect();
        Server::start_at(name, [node.to_string(), people.to_string()], &others)
    }

    /// Waits until it has found the other so many times.
    fn has_found(&self, other: &str, times: usize) {
        let line = format!("{other} is here\n");
        eventually(&format!("{}: {line}", self.name), || {
            self.program.log().matches(&line).count() >= times
        });
    }

    fn has_lost(&self, other: &str, times: usize) {
        let line = format!("{other} is gone\n");
        eventually(&format!("{}: {line}", self.name), || {
            self.program.log().matches(&line).count() >= times
        });
    }
}

/// Waits until each of the servers knows all the others.
fn are_one(servers: &[&Server]) {
    for server in servers {
        for other in servers {
            if other.name != server.name {
                server.has_found(other.name, 1);
            }
        }
    }
}

/// Somebody at `nc`.
struct Person(Program);

impl Person {
    fn at(server: &Server, name: &str) -> Person {
        let (ip, port) = words(server.people);
        let mut person = Person(nc([ip.as_str(), &port]));
        person.sees("what is your name?");
        person.types(name);
        // Who is shown the way out is about to be let in, and is in when this is answered.
        person.sees("'/who' shows who is here");
        person.types("/who");
        person.sees(&format!("{}: ", server.name));
        person
    }

    fn types(&mut self, line: &str) {
        writeln!(self.0.stdin(), "{line}").unwrap();
    }

    fn sees(&self, text: &str) {
        self.0.wait_for_output(text);
    }

    /// Leaves; all that it has seen.
    fn leaves(mut self) -> String {
        self.types("/quit");
        self.0.ended().stdout
    }
}

#[test]
fn three_servers_are_one_room() {
    let north = Server::start("north", &[]);
    let south = Server::start("south", &[&north]);
    are_one(&[&north, &south]);
    let (mut ann, mut bob) = (Person::at(&north, "ann"), Person::at(&south, "bob"));
    ann.sees("* bob enters\n");
    // The third one comes later and is told of one alone.
    let west = Server::start("west", &[&south]);
    are_one(&[&north, &south, &west]);
    ann.sees("* west is here\n");
    let mut cid = Person::at(&west, "cid");
    ann.sees("* cid enters\n");
    bob.sees("* cid enters\n");
    cid.types("/who");
    cid.sees("north: ann\nsouth: bob\n");

    for n in 0..100 {
        bob.types(&format!("bob's {n}"));
        ann.types(&format!("ann's {n}"));
    }
    ann.sees("bob: bob's 99\n");
    bob.sees("ann: ann's 99\n");
    cid.sees("bob: bob's 99\n");
    cid.sees("ann: ann's 99\n");
    cid.types("bye");
    ann.sees("cid: bye\n");
    bob.sees("cid: bye\n");
    let seen = cid.leaves();
    ann.sees("* cid leaves\n");
    bob.sees("* cid leaves\n");
    // Once each, in order, and to nobody what is one's own.
    for (name, seen) in [("ann", &seen), ("bob", &seen), ("bob", &ann.leaves())] {
        let prefix = format!("{name}: {name}'s ");
        let lines = seen.lines().filter_map(|line| line.strip_prefix(&prefix));
        let lines: Vec<usize> = lines.map(|n| n.parse().unwrap()).collect();
        assert_eq!(lines, (0..100).collect::<Vec<_>>(), "{seen}");
    }
    assert!(!bob.leaves().contains("bob's"));
    assert!(!seen.contains("cid: bye"));
    for server in [north, south, west] {
        stops_orderly(server.program);
    }
}

#[test]
fn a_server_that_is_killed_comes_back() {
    let north = Server::start("north", &[]);
    let south = Server::start("south", &[&north]);
    let west = Server::start("west", &[&north]);
    are_one(&[&north, &south, &west]);
    let (mut ann, mut cid) = (Person::at(&north, "ann"), Person::at(&west, "cid"));

    // One that has connected to others: it does so again.
    let south = south.start_again(&[&north]);
    north.has_lost("south", 1);
    north.has_found("south", 2);
    west.has_found("south", 2);
    are_one(&[&north, &south, &west]);
    ann.sees("* south is gone\n");
    let mut bob = Person::at(&south, "bob");
    ann.types("welcome back");
    bob.sees("ann: welcome back\n");
    bob.types("thanks");
    ann.sees("bob: thanks\n");
    cid.sees("bob: thanks\n");

    // One that others have connected to: they do so again, and what lives goes on meanwhile.
    let north = north.start_again(&[]);
    south.has_lost("north", 1);
    west.has_lost("north", 1);
    cid.types("still here");
    bob.sees("cid: still here\n");
    south.has_found("north", 2);
    west.has_found("north", 2);
    are_one(&[&north, &south, &west]);
    let mut ann = Person::at(&north, "ann");
    bob.sees("* ann enters\n");
    ann.types("me too");
    bob.sees("ann: me too\n");
    cid.sees("ann: me too\n");
}

#[test]
fn a_server_that_is_silent_is_gone_until_it_speaks() {
    let north = Server::start("north", &[]);
    let south = Server::start("south", &[&north]);
    are_one(&[&north, &south]);
    let (mut ann, mut bob) = (Person::at(&north, "ann"), Person::at(&south, "bob"));
    south.program.signal(libc::SIGSTOP);
    ann.sees("* south is gone\n");
    ann.types("nobody hears this");
    // What comes behind it is answered, so it has been said.
    ann.types("/who");
    let answers = |seen: &str| (seen.matches("north: ann\n").count() == 2).then_some(());
    ann.0.output("second answer", answers);
    south.program.signal(libc::SIGCONT);
    north.has_found("south", 2);
    south.has_found("north", 2);
    ann.types("but this");
    bob.sees("ann: but this\n");
    bob.types("hello");
    ann.sees("bob: hello\n");
    assert!(!bob.leaves().contains("nobody hears this"));
}
