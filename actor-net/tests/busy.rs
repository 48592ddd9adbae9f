//! Connections whose actors are busy with other things than what their peers send.

mod common;

use std::time::Duration;

use actor_core::{Actor, Context, Handler, Message, Tasklet};

use actor_net::{Connection, Line, LineCodec, Server};
use common::{PATIENCE, ask, client, in_tasklet};

const IDLE: Duration = Duration::from_secs(1);

/// Answers lines, and works when it is asked to.
struct Busy {
    connection: Connection<LineCodec>,
}

impl Actor for Busy {}

impl Handler<Line> for Busy {
    fn handle(&mut self, Line(line): Line, ctx: &mut Context<Self>) {
        if line == "work" {
            ctx.addr().send(Work).unwrap();
        } else {
            self.connection.send(line);
        }
    }
}

#[derive(Debug)]
struct Work;

impl Message for Work {
    type Reply = ();
}

impl Handler<Work> for Busy {
    fn handle(&mut self, _: Work, _: &mut Context<Self>) {
        self.connection.send("working");
        Tasklet::sleep(IDLE * 3 / 2);
    }
}

#[test]
fn a_peer_that_has_sent_something_is_not_idle_while_the_actor_is_busy() {
    for stackless in [false, true] {
        in_tasklet(move || {
            let server = Server::builder()
                .stackless(stackless)
                .idle_timeout(IDLE)
                .bind("127.0.0.1:0")
                .unwrap()
                .spawn_actors(LineCodec::new(), |connection| Busy { connection })
                .unwrap();
            let mut client = client(server.local_addr());
            let answer = ask(&mut client, "work").unwrap();
            assert_eq!(answer.as_deref(), Some("working"));
            let answer = ask(&mut client, "and this?").unwrap();
            assert_eq!(answer.as_deref(), Some("and this?"), "{stackless}");
            drop(client);
            server.shutdown(PATIENCE).unwrap();
        });
    }
}
