//! Nodes that are all linked with each other, each a process of its own.

use crate::agent::Agent;
use crate::common::{program, until};

const NODES: usize = 10;

/// Waits until all say what they are to say.
fn all_say(agents: &mut [Agent], order: &str) {
    let names: Vec<_> = agents.iter().map(|agent| agent.name.clone()).collect();
    for agent in agents {
        let others: Vec<_> = names
            .iter()
            .filter(|name| **name != agent.name)
            .map(String::as_str)
            .collect();
        let expected = others.join(" ");
        until(
            &format!("{} says {expected} to {order}", agent.name),
            || agent.order(order) == expected,
        );
    }
}

/// Waits until each has as many connections as there are others, besides the sockets that it had before.
fn one_link_each(agents: &[Agent], before: usize) {
    let expected = before + agents.len() - 1;
    for agent in agents {
        until(&format!("{} has {expected} sockets", agent.name), || {
            agent.sockets() == expected
        });
    }
}

#[test]
fn ten_nodes_in_a_mesh() {
    program(|| {
        let mut agents: Vec<_> = (0..NODES)
            .map(|number| Agent::start(&format!("node-{number}")))
            .collect();
        let before = agents[0].sockets();
        let addrs: Vec<_> = agents.iter().map(|agent| agent.addr).collect();
        // Each of two to the other, as much at the same time as it can be had.
        for distance in 1..NODES {
            for (at, agent) in agents.iter_mut().enumerate() {
                let other = addrs[(at + distance) % NODES];
                assert_eq!(agent.order(&format!("connect {other}")), "connects");
            }
        }
        all_say(&mut agents, "peers");
        one_link_each(&agents, before);
        all_say(&mut agents, "call-all");

        // One is killed: all others notice, and have links with each other as before.
        let mut victim = agents.remove(3);
        victim.kill();
        all_say(&mut agents, "peers");
        all_say(&mut agents, "call-all");
        // It comes back by the same name at the same place. They have connected to it, and do so again.
        agents.insert(3, Agent::start_at(&victim.name, victim.addr));
        all_say(&mut agents, "peers");
        one_link_each(&agents, before);
        all_say(&mut agents, "call-all");
    });
}
