//! Past the limit on tasklets a spawn fails, with an error that helps; the program goes on.

mod common;

use std::fs;
use std::time::Duration;

use common::{Client, Program, child, eventually};
use concurrence::io::Read;
use concurrence::net::{Server, TcpStream};
use concurrence::{JoinError, JoinHandle, Runtime, SpawnError, Tasklet, dispatch, join_all, quit};

const FOR_EVER: Duration = Duration::from_secs(3600);

/// Spawns sleeping tasklets until that fails.
fn spawn_to_the_limit() -> (Vec<JoinHandle<()>>, SpawnError) {
    let mut sleepers = Vec::new();
    loop {
        match Tasklet::builder().spawn(|| Tasklet::sleep(FOR_EVER)) {
            Ok(sleeper) => sleepers.push(sleeper),
            Err(error) => return (sleepers, error),
        }
    }
}

#[test]
fn a_limit_that_was_asked_for_is_kept() {
    let program = Program::start(&mut child(|| {
        Runtime::builder().tasklets(100).dispatch(|| {
            let (sleepers, error) = spawn_to_the_limit();
            assert!(
                (90..=100).contains(&sleepers.len()),
                "{} sleep",
                sleepers.len()
            );
            assert!(error.to_string().contains("100"), "{error}");

            // Room that has been made can be used.
            sleepers[0].kill();
            let _ = sleepers[0].join();
            let another = Tasklet::builder()
                .spawn(|| 7)
                .expect("there is room for one");
            assert_eq!(another.join().unwrap(), 7);

            for sleeper in &sleepers {
                sleeper.kill();
            }
            join_all(&sleepers);
        })
    }));
    let ended = program.ended();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[test]
fn plain_spawn_panics_with_the_same_text() {
    let program = Program::start(&mut child(|| {
        Runtime::builder()
            .tasklets(20)
            .grace(Duration::ZERO)
            .dispatch(|| {
                let spawner = Tasklet::spawn(|| {
                    loop {
                        Tasklet::spawn(|| Tasklet::sleep(FOR_EVER));
                    }
                });
                assert!(matches!(spawner.join(), Err(JoinError::Panicked(_))));
                quit(3)
            })
    }));
    let ended = program.ended();
    assert!(
        ended.stderr.contains("tasklets exist, which is the limit"),
        "{ended:?}"
    );
    assert_eq!(ended.code(), Some(3), "{ended:?}");
}

#[test]
fn the_limit_of_the_system_is_an_error_and_not_the_end() {
    let program = Program::start(&mut child(|| {
        dispatch(|| {
            let (sleepers, error) = spawn_to_the_limit();
            let maps: usize = fs::read_to_string("/proc/sys/vm/max_map_count")
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            assert!(sleepers.len() < maps / 2, "{} tasklets", sleepers.len());
            assert!(
                sleepers.len() > 30_000.min(maps / 3),
                "{} tasklets",
                sleepers.len()
            );
            assert!(error.to_string().contains("vm.max_map_count"), "{error}");

            // What is left is enough for the rest of the program to work.
            std::thread::spawn(|| vec![0u8; 64 << 20]).join().unwrap();
            for sleeper in &sleepers {
                sleeper.kill();
            }
            join_all(&sleepers);
            Tasklet::spawn(|| ()).join().unwrap();
        })
    }));
    let ended = program.ended();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[test]
fn a_server_refuses_what_it_has_no_tasklet_for_and_goes_on() {
    let mut command = child(|| {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .init();
        Runtime::builder().tasklets(20).dispatch(|| {
            Server::serve("127.0.0.1:0", |mut stream: TcpStream| {
                stream.read(&mut [0]).map(drop)
            })
        })
    });
    let server = Program::start(&mut command);
    let addr = server.address();
    let serve_one = || {
        let mut client = Client::connect(addr);
        client.send("!");
        assert_eq!(
            client.rest(),
            "",
            "the handler has read a byte and returned"
        );
    };
    serve_one();
    let idle = server.descriptors();
    // More than there is room for: those who are refused find their connection closed.
    let clients: Vec<_> = (0..40).map(|_| Client::connect(addr)).collect();
    server.wait_for("WARN");
    eventually("the refused are disconnected", || {
        server.descriptors() < idle + 20
    });
    assert!(server.descriptors() > idle, "somebody is served");
    drop(clients);
    eventually("the served have gone", || server.descriptors() <= idle);
    serve_one();
    server.signal(libc::SIGTERM);
    assert_eq!(server.ended().code(), Some(0));
}
