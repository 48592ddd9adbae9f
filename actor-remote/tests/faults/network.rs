//! Nodes in network namespaces of their own, with a router between them that loses packets, or all of them.
//!
//! Where that cannot be had the tests say why, and do nothing: they need root, `ip`, and `iptables` or a kernel with
//! `netem`. Nothing outside of the namespaces is touched.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use actor_core::Tasklet;

use crate::agent::{Agent, GIVE_UP};
use crate::common::{program, until};

/// Runs a program; what it says if it fails.
fn run(words: &[&str]) -> Result<(), String> {
    let output = Command::new(words[0]).args(&words[1..]).output();
    let failed = |why: &str| format!("`{}`: {}", words.join(" "), why.trim());
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(failed(&String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(failed(&error.to_string())),
    }
}

/// Two machines with a router between them.
struct Network {
    left: String,
    right: String,
    router: String,
}

const LEFT: &str = "10.77.1.2:7001";
const RIGHT: &str = "10.77.2.2:7002";

impl Network {
    /// Nothing if there is none to be had here, for the reason that is printed.
    #[allow(
        clippy::print_stdout,
        reason = "so that it is seen that nothing was tested"
    )]
    fn new() -> Option<Network> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| format!("crpc-{}-{number}-{what}", std::process::id());
        let network = Network {
            left: name("left"),
            right: name("right"),
            router: name("router"),
        };
        match network.build() {
            Ok(()) => Some(network),
            Err(why) => {
                println!("skipped, as there are no network namespaces here: {why}");
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        let Network {
            left,
            right,
            router,
        } = self;
        for namespace in [left, right, router] {
            run(&["ip", "netns", "add", namespace])?;
            run(&["ip", "-n", namespace, "link", "set", "lo", "up"])?;
        }
        for (side, net) in [(left, "10.77.1"), (right, "10.77.2")] {
            let link = if side == left { "left" } else { "right" };
            let (own, hop) = (format!("{net}.2/24"), format!("{net}.1"));
            let routers = format!("{hop}/24");
            run(&[
                "ip", "-n", router, "link", "add", link, "type", "veth", "peer", "name", "net",
                "netns", side,
            ])?;
            run(&["ip", "-n", router, "addr", "add", &routers, "dev", link])?;
            run(&["ip", "-n", router, "link", "set", link, "up"])?;
            run(&["ip", "-n", side, "addr", "add", &own, "dev", "net"])?;
            run(&["ip", "-n", side, "link", "set", "net", "up"])?;
            run(&["ip", "-n", side, "route", "add", "default", "via", &hop])?;
        }
        self.forward(true)
    }

    /// Runs a program at the router.
    fn at_router(&self, words: &[&str]) -> Result<(), String> {
        let mut all = vec!["ip", "netns", "exec", &self.router];
        all.extend(words);
        run(&all)
    }

    fn forward(&self, forward: bool) -> Result<(), String> {
        let value = if forward { "1" } else { "0" };
        let order = format!("echo {value} > /proc/sys/net/ipv4/ip_forward");
        self.at_router(&["sh", "-c", &order])
    }

    /// From now on the router drops all that comes, or does no longer.
    fn part(&self, parted: bool) {
        let how = if parted { "-I" } else { "-D" };
        let dropped = self.at_router(&["iptables", how, "FORWARD", "-j", "DROP"]);
        if dropped.is_err() {
            // Without its tools a router drops packets by being none.
            self.forward(!parted).unwrap();
        }
    }

    /// Has the router lose one packet of twenty in each direction, and hold the others for a moment, as far as that can
    /// be had here; nothing if there is no loss to be had.
    #[allow(
        clippy::print_stdout,
        reason = "so that it is seen that nothing was tested"
    )]
    fn lose(&self) -> Option<()> {
        let netem = |link| {
            self.at_router(&[
                "tc", "qdisc", "add", "dev", link, "root", "netem", "delay", "5ms", "3ms", "loss",
                "5%",
            ])
        };
        let Err(no_netem) = netem("left").and_then(|()| netem("right")) else {
            return Some(());
        };
        let loss = self.at_router(&[
            "iptables",
            "-A",
            "FORWARD",
            "-m",
            "statistic",
            "--mode",
            "random",
            "--probability",
            "0.05",
            "-j",
            "DROP",
        ]);
        match loss {
            Ok(()) => {
                println!("losses without delays: {no_netem}");
                Some(())
            }
            Err(no_loss) => {
                println!("skipped, as nothing loses packets here: {no_netem}; {no_loss}");
                None
            }
        }
    }

    fn agents(&self) -> [Agent; 2] {
        [
            Agent::start_in(&self.left, "left", LEFT.parse().unwrap()),
            Agent::start_in(&self.right, "right", RIGHT.parse().unwrap()),
        ]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.left, &self.right, &self.router] {
            drop(run(&["ip", "netns", "delete", namespace]));
        }
    }
}

fn connect(left: &mut Agent) {
    assert_eq!(left.order(&format!("connect {RIGHT}")), "connects");
    until("they are linked", || left.order("peers") == "right");
}

/// What one has seen, as it says so.
fn numbers(range: std::ops::Range<u64>) -> String {
    format!("{:?}", range.collect::<Vec<_>>())
}

#[test]
fn packets_that_are_lost_lose_no_message() {
    let Some(network) = Network::new() else {
        return;
    };
    program(move || {
        let [mut left, mut right] = network.agents();
        connect(&mut left);
        if network.lose().is_none() {
            return;
        }
        for start in (0..2000).step_by(100) {
            let order = format!("send right {start} {}", start + 100);
            assert_eq!(left.order(&order), "100");
        }
        assert_eq!(right.order("seen"), numbers(0..2000));
        // The same link all the time.
        assert_eq!(
            (left.order("peers"), right.order("peers")),
            ("right".into(), "left".into())
        );
        drop((left, right));
    });
}

#[test]
fn a_network_that_is_parted_and_mended() {
    let Some(network) = Network::new() else {
        return;
    };
    program(move || {
        let [mut left, mut right] = network.agents();
        connect(&mut left);
        assert_eq!(left.order("send right 0 100"), "100");

        // For less than a link is given up after.
        network.part(true);
        // Not for an event: nothing happens, and that is what is looked at.
        Tasklet::sleep(GIVE_UP / 10);
        network.part(false);
        assert_eq!(left.order("send right 100 200"), "100");
        assert_eq!(right.order("seen"), numbers(0..200));

        network.part(true);
        until("both have given the link up", || {
            left.order("peers").is_empty() && right.order("peers").is_empty()
        });
        assert!(left.order("send right 200 300").starts_with("0 and"));
        network.part(false);
        until("they are linked again", || {
            left.order("peers") == "right" && right.order("peers") == "left"
        });
        assert_eq!(left.order("send right 300 400"), "100");
        let seen: Vec<_> = (0..200).chain(300..400).collect();
        assert_eq!(right.order("seen"), format!("{seen:?}"));
        drop((left, right));
    });
}
