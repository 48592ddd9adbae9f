//! On which worker a connection is handled. In a process of its own: the load is that of all programs.

mod common;

use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use actor_core::{Placement, Runtime, Tasklet};
use actor_net::Server;
use common::{PATIENCE, ask, client, echo, eventually, in_tasklet};

const WORKERS: usize = 3;
/// Far more than the server and the test itself take.
const LOAD: usize = 20;

#[test]
fn a_connection_goes_to_the_worker_with_the_fewest_tasklets() {
    let started = Runtime::builder().workers(WORKERS).dispatch(|| ());
    assert_eq!(started, ExitCode::SUCCESS);
    in_tasklet(|| {
        let (tell, told) = mpsc::channel();
        let server = Server::bind("127.0.0.1:0").unwrap();
        let handler = move |stream| -> io::Result<()> {
            let _ = tell.send(thread::current().id());
            echo(stream)
        };
        let server = server.spawn(handler).unwrap();
        for free in 0..WORKERS {
            let on = |worker| Tasklet::builder().placement(Placement::Worker(worker));
            let thread = on(free).spawn(|| thread::current().id()).unwrap();
            let thread = thread.join().unwrap();
            let load: Vec<_> = (0..WORKERS * LOAD)
                .filter(|n| n % WORKERS != free)
                .map(|n| on(n).spawn(|| Tasklet::sleep(PATIENCE)).unwrap())
                .collect();
            let clients: Vec<_> = (0..LOAD / 2)
                .map(|_| {
                    let mut client = client(server.local_addr());
                    assert_eq!(ask(&mut client, "in").unwrap().unwrap(), "in");
                    assert_eq!(told.try_recv(), Ok(thread));
                    client
                })
                .collect();
            drop(clients);
            for tasklet in load {
                tasklet.kill();
                let _ = tasklet.join();
            }
            eventually("the end of all", || server.connections() == 0);
        }
        server.shutdown(PATIENCE).unwrap();
    });
}
