//! Stops, and whom they reach.

use super::*;

#[test]
fn a_stop_ends_the_receive_loop_after_what_has_come_before() {
    run(|| {
        let receiver = Tasklet::spawn(|| {
            let received: Vec<_> = Tasklet::receive()
                .map(|message| message.downcast::<Note>().unwrap().0)
                .collect();
            assert!(Tasklet::is_stopping());
            // It stays over.
            assert!(Tasklet::receive().next().is_none());
            assert!(Tasklet::try_receive().is_none());
            received
        });
        for n in 0..5 {
            receiver.send(Note(n)).unwrap();
        }
        receiver.stop();
        match receiver.send(Note(5)) {
            Err(SendError::Ended(Note(5))) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(receiver.call(Ask), Err(CallError::Ended));
        receiver.stop(); // no more than once
        assert_eq!(join(receiver), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_stop_wakes_a_receive_loop_that_waits_on_any_worker() {
    run(|| {
        for worker in 0..WORKERS {
            let receiver = spawn_on(worker, || Tasklet::receive().count());
            wait_until_it_waits(&receiver, "waits for a message");
            receiver.stop();
            assert_eq!(join(receiver), 0);
        }
    });
}

#[test]
fn a_stop_goes_down_the_tree_children_after_their_parents() {
    run(|| {
        let log = Log::default();
        let loops = |name: &'static str, log: &Log| {
            let log = log.clone();
            move || {
                let held = Tasklet::current(); // not for want of references
                Tasklet::receive().for_each(drop);
                log.add(name);
                drop(held);
            }
        };
        let grandparent = {
            let log = log.clone();
            spawn(move || {
                let parent = {
                    let log = log.clone();
                    spawn(move || {
                        Tasklet::spawn(loops("child 1", &log));
                        Tasklet::spawn(loops("child 2", &log));
                        loops("parent", &log)()
                    })
                };
                Tasklet::receive().for_each(drop);
                // The farewell: whoever is below still takes messages.
                parent.send(Note(1)).unwrap();
                log.add("grandparent");
            })
        };
        wait_until(|| grandparent.tree().iter().count() == 4);
        let tree = grandparent.tree();
        let members: Vec<_> = tree.iter().map(|(_, tasklet)| tasklet).collect();
        assert_eq!(members.len(), 4);
        drop(tree);
        grandparent.stop();
        join(grandparent);
        for member in members {
            wait_until(|| !member.is_alive());
        }
        assert_eq!(log.take(), ["grandparent", "parent", "child 1", "child 2"]);
    });
}

#[test]
fn a_join_ends_at_a_stop_where_that_is_wanted_and_passes_nothing_on() {
    run(|| {
        let gate = Gate::new();
        let inner = gate.clone();
        let parent = spawn(move || {
            let child = spawn({
                let inner = inner.clone();
                move || {
                    inner.pass();
                    Tasklet::is_stopping()
                }
            });
            // Waits here until it is stopped, and no longer waits once it is.
            assert!(child.join_or_stop().unwrap().is_none());
            assert!(child.join_or_stop().unwrap().is_none());
            assert!(child.is_alive());
            inner.open();
            while child.is_alive() {
                Tasklet::yield_now();
            }
            // What has ended is had all the same, once.
            let first = child.join_or_stop().unwrap();
            assert!(matches!(child.join_or_stop(), Err(JoinError::Taken)));
            first
        });
        Tasklet::yield_now();
        parent.stop();
        assert_eq!(join(parent), Some(false), "the child was not asked to stop");
        // Without a stop it is a join like others.
        assert_eq!(spawn(|| 7).join_or_stop().unwrap(), Some(7));
        let victim = spawn(|| Tasklet::sleep(Duration::MAX));
        victim.kill();
        assert!(matches!(victim.join_or_stop(), Err(JoinError::Killed)));
        let sleeper = spawn(|| Tasklet::sleep(Duration::MAX)).kill_on_drop();
        let expired = timeout(Duration::from_millis(1), || sleeper.join_or_stop());
        assert!(matches!(expired, Err(JoinError::Timeout)));
    });
}

#[test]
fn a_stop_passes_through_join_to_descendants_alone() {
    run(|| {
        let (stranger, strangers) = (Gate::new(), Gate::new());
        let stranger_handle = {
            let stranger = stranger.clone();
            Arc::new(spawn(move || stranger.pass()))
        };
        // One that joins a descendant passes the stop on.
        let parent = spawn(|| {
            let child = spawn(|| {
                let held = Tasklet::current();
                let grandchild = spawn(|| {
                    let held = Tasklet::current();
                    let count = Tasklet::receive().count();
                    drop(held);
                    count
                });
                drop(held);
                grandchild.join().unwrap()
            });
            child.join().unwrap()
        });
        parent.stop();
        assert_eq!(join(parent), 0);
        // One that joins somebody else does not.
        let other = {
            let handle = stranger_handle.clone();
            let strangers = strangers.clone();
            spawn(move || {
                let end = handle.join();
                strangers.open();
                end
            })
        };
        other.stop();
        Tasklet::yield_now();
        assert!(
            stranger_handle.is_alive()
                && !stranger_handle.tree().to_string().contains(", stopping")
        );
        assert!(other.is_alive());
        stranger.open();
        join(other).unwrap();
        strangers.pass();
    });
}

#[test]
fn what_neither_receives_nor_asks_runs_on_through_a_stop() {
    run(|| {
        let gate = Gate::new();
        let deaf = {
            let gate = gate.clone();
            spawn(move || {
                gate.pass();
                Tasklet::sleep(SHORT);
                Tasklet::is_stopping()
            })
        };
        deaf.stop();
        gate.open();
        assert!(join(deaf));
    });
}

#[test]
fn children_of_one_that_has_ended_pass_to_its_parent() {
    run(|| {
        let me = Tasklet::current();
        let gate = Gate::new();
        let orphan = {
            let gate = gate.clone();
            join(spawn(move || {
                Tasklet::builder()
                    .name("orphan")
                    .spawn(move || gate.pass())
                    .unwrap()
            }))
        };
        assert_eq!(orphan.parent(), Some(me.clone()));
        assert!(me.children().contains(orphan.tasklet()));
        gate.open();
        join(orphan);
        assert!(me.children().is_empty());
    });
}
