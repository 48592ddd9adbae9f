//! In which order tasklets run.

use super::*;

#[test]
fn greetings_come_in_the_order_of_the_slides() {
    let log = Log::default();
    let greet = {
        let log = log.clone();
        move |name: &'static str, pause: fn()| {
            let log = log.clone();
            move || {
                log.add(format!("Hello {name}"));
                pause();
                log.add(format!("Goodbye {name}"));
            }
        }
    };
    let expected = ["Hello A", "Hello B", "Goodbye A", "Goodbye B"];
    let pauses: [fn(); 2] = [Tasklet::yield_now, || Tasklet::sleep(SHORT)];
    for pause in pauses {
        for _ in 0..20 {
            let greet = greet.clone();
            run(move || {
                Tasklet::spawn(greet("A", pause));
                Tasklet::spawn(greet("B", pause));
            });
            assert_eq!(log.take(), expected);
        }
    }
}

#[test]
fn turns_do_not_change_the_order() {
    // Each uses up the worker's slice and takes a turn in the middle; nobody leaves the queue for it.
    let rounds = run(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let tasklets: Vec<_> = (0..4)
            .map(|n| {
                let log = log.clone();
                Tasklet::spawn(move || {
                    for round in 0..10 {
                        log.lock().unwrap().push((round, n));
                        let start = std::time::Instant::now();
                        while start.elapsed() < Duration::from_micros(400) {
                            // Operations that do not wait, each of which may take the turn.
                            Tasklet::current().send(Note(0)).unwrap();
                            Tasklet::try_receive();
                        }
                        Tasklet::yield_now();
                    }
                })
            })
            .collect();
        join_all(tasklets).into_iter().for_each(Result::unwrap);
        Arc::into_inner(log).unwrap().into_inner().unwrap()
    });
    assert!(rounds.is_sorted(), "{rounds:?}");
}

#[test]
fn the_one_that_spawns_goes_on_first() {
    run(|| {
        let log = Log::default();
        let child = {
            let log = log.clone();
            Tasklet::spawn(move || log.add("child"))
        };
        log.add("parent");
        join(child);
        assert_eq!(log.take(), ["parent", "child"]);
    });
}
