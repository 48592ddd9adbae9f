//! The printed tree: who there is, and what each waits for.

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use actor_core::reactor::{Direction, Source};
use actor_core::sync::{Condvar, Event, Mutex, Semaphore};
use actor_core::{Mailbox, Message, Overflow, Tasklet, block_on_thread, match_message};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message)]
struct Note;

#[derive(Message)]
#[message(reply = u32)]
struct Ask;

/// Spawns under `name`, and lets it run until it waits.
fn named<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> actor_core::JoinHandle<T> {
    let tasklet = Tasklet::builder().name(name).spawn(f).unwrap();
    Tasklet::yield_now();
    tasklet
}

/// The line of `tasklet`, without indentation.
fn line(tree: &str, tasklet: &Tasklet) -> String {
    let head = format!("{}{} ", tasklet.name(), tasklet.pid());
    let line = tree
        .lines()
        .find(|line| line.trim_start().starts_with(&head));
    line.unwrap_or_else(|| panic!("no {head} in\n{tree}"))
        .trim_start()
        .to_owned()
}

#[test]
fn it_tells_what_each_waits_for() {
    run(|| {
        let (near, _far) = UnixStream::pair().unwrap();
        let fd = near.as_raw_fd();
        let source = Arc::new(Source::new(near).unwrap());
        let lock = Arc::new(Mutex::new(()));
        let event = Arc::new(Event::new());
        let condition = Arc::new(Condvar::new());
        let permits = Arc::new(Semaphore::new(0));
        let guard = lock.lock();
        let idle = named("idle", || {
            // Does not answer what it takes.
            Tasklet::receive().collect::<Vec<_>>().len()
        });
        let full = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::Block))
            .name("full")
            .spawn(|| Tasklet::sleep(PATIENCE))
            .unwrap();
        full.send(Note).unwrap();
        let (idle_pid, full_pid) = (idle.pid(), full.pid());
        let (to_idle, to_full) = (idle.tasklet().clone(), full.tasklet().clone());
        let released = Gate::new();
        let waiting = [
            (
                named("caller", move || {
                    let _ = to_idle.call(Ask);
                }),
                format!("waits for a reply of {idle_pid}"),
            ),
            (
                named("sender", move || drop(to_full.send(Note))),
                format!("waits for room in the mailbox of {full_pid}"),
            ),
            (
                named("sleeper", || Tasklet::sleep(PATIENCE)),
                "waits for a time".into(),
            ),
            (
                named("joiner", {
                    let handle = named("joined", || Tasklet::sleep(PATIENCE));
                    move || drop(handle.join())
                }),
                "waits for the end of".into(),
            ),
            (
                named("reader", {
                    let source = source.clone();
                    move || drop(source.wait(Direction::Read, None))
                }),
                format!("waits to read from descriptor {fd} (socket:["),
            ),
            (
                named("locker", {
                    let lock = lock.clone();
                    move || drop(lock.lock())
                }),
                format!("waits for the mutex at {lock:p},"),
            ),
            (
                named("listener", {
                    let event = event.clone();
                    move || event.wait()
                }),
                format!("waits for the event at {event:p},"),
            ),
            (
                named("applicant", {
                    let permits = permits.clone();
                    move || drop(permits.acquire())
                }),
                format!("waits for a permit of the semaphore at {permits:p},"),
            ),
            (
                named("conditioned", {
                    let condition = condition.clone();
                    let lock = Mutex::new(());
                    move || drop(condition.wait(lock.lock()))
                }),
                format!("waits for the condition variable at {condition:p},"),
            ),
            (
                named("blocked", {
                    let released = released.clone();
                    move || block_on_thread(move || released.pass())
                }),
                "waits for a thread of the pool".into(),
            ),
        ];
        for (tasklet, what) in &waiting {
            let own = line(&tasklet.tree().to_string(), tasklet);
            assert!(own.contains(what.as_str()), "{own}");
            assert!(own.contains(", on worker "), "{own}");
        }
        let tree = Tasklet::current().tree().to_string();
        let main = tree.lines().next().unwrap();
        assert!(
            main.starts_with("main<") && main.contains(" runs, on worker "),
            "{main}"
        );
        assert!(line(&tree, &idle).contains("waits for a message"));
        // Those that are in the tree are told by name.
        let caller = line(&tree, &waiting[0].0);
        assert!(
            caller.contains(&format!("waits for a reply of idle{idle_pid}")),
            "{caller}"
        );

        released.open();
        for (tasklet, _) in &waiting {
            tasklet.kill();
        }
        Tasklet::current().children().iter().for_each(Tasklet::kill);
        drop(guard);
    });
}

#[test]
fn it_tells_who_runs_from_who_is_ready() {
    run(|| {
        let ready = Tasklet::spawn(|| ());
        let me = Tasklet::current();
        let is = |who: &Tasklet, what: &str| line(&who.tree().to_string(), who).contains(what);
        assert!(is(&me, " runs, on worker "));
        assert!(is(&ready, " is ready, on worker "));
        join(ready);
        // On another worker as well.
        let observer = spawn_on(0, move || {
            let (over, begun) = (Gate::new(), Gate::new());
            let busy = spawn_on(1, {
                let (over, begun) = (over.clone(), begun.clone());
                move || {
                    let behind = Tasklet::spawn(|| ());
                    begun.open();
                    while !over.is_open() {}
                    behind
                }
            });
            begun.pass();
            let behind = busy.children().remove(0);
            assert!(is(&busy, " runs, on worker 1"));
            assert!(is(&behind, " is ready, on worker 1"));
            over.open();
            join(join(busy));
        });
        join(observer);
    });
}

#[test]
fn it_tells_generations_by_indentation_in_the_order_of_spawning() {
    run(|| {
        let gate = Gate::new();
        let parent = {
            let gate = gate.clone();
            named("parent", move || {
                for name in ["first", "second"] {
                    let gate = gate.clone();
                    named(name, move || {
                        let inner = gate.clone();
                        named("inner", move || inner.pass());
                        gate.pass();
                    });
                }
                gate.pass();
            })
        };
        wait_until(|| parent.tree().iter().count() == 5);
        let tree = parent.tree();
        let seen: Vec<_> = tree
            .iter()
            .map(|(depth, t)| (depth, t.name().to_owned()))
            .collect();
        let expected = [
            (0, "parent"),
            (1, "first"),
            (2, "inner"),
            (1, "second"),
            (2, "inner"),
        ];
        assert_eq!(seen, expected.map(|(depth, name)| (depth, name.to_owned())));
        for (line, (depth, name)) in tree.to_string().lines().zip(expected) {
            assert!(
                line.starts_with(&format!("{}{name}<", "  ".repeat(depth))),
                "{line}"
            );
        }
        gate.open();
        join(parent);
    });
}

#[test]
fn it_tells_what_is_special() {
    run(|| {
        let gate = Gate::new();
        let deaf = {
            let gate = gate.clone();
            let daemon = Tasklet::builder().name("deaf").daemon(true);
            let daemon = daemon.spawn(move || {
                for message in Tasklet::receive().take(3) {
                    match_message!(match message {
                        Ask => {}
                    });
                }
                gate.pass();
                Tasklet::shield(|| gate.pass());
            });
            daemon.unwrap()
        };
        for _ in 0..3 {
            deaf.send(Note).unwrap();
        }
        wait_until_it_waits(&deaf, "waits for the event at");
        deaf.stop();
        let own = line(&deaf.tree().to_string(), &deaf);
        assert!(own.contains(", daemon, stopping"), "{own}");
        assert!(
            own.contains("has no arm for 3 of ") && own.ends_with("Note"),
            "{own}"
        );
        gate.open();
        let tree = deaf.tree();
        join(deaf);
        assert!(tree.to_string().contains("has ended"), "{tree}");
    });
}

#[test]
fn a_deep_tree_is_no_danger_to_the_stack() {
    run(|| {
        fn descend(depth: u32, gate: Gate, deepest: Gate) {
            if depth == 0 {
                deepest.open();
                return gate.pass();
            }
            let (inner, deep) = (gate.clone(), deepest);
            Tasklet::spawn(move || descend(depth - 1, inner, deep));
            gate.pass();
        }
        let (gate, deepest) = (Gate::new(), Gate::new());
        let top = {
            let (gate, deepest) = (gate.clone(), deepest.clone());
            Tasklet::spawn(move || descend(1000, gate, deepest))
        };
        deepest.pass();
        let tree = top.tree();
        assert_eq!(tree.iter().map(|(depth, _)| depth).max(), Some(1000));
        assert_eq!(tree.to_string().lines().count(), 1001);
        gate.open();
        join(top);
    });
}
