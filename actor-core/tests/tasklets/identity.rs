//! Who is who, and where.

use super::*;

#[test]
fn tasklets_are_told_apart_and_named() {
    run(|| {
        fn counting() {}
        let by_function = Tasklet::spawn(counting);
        assert_eq!(by_function.name(), "counting");
        let by_name = Tasklet::builder().name("ledger").spawn(|| ()).unwrap();
        assert_eq!(by_name.name(), "ledger");
        assert_eq!(Tasklet::current().name(), "main");
        assert_ne!(*by_function.tasklet(), *by_name.tasklet());
        assert!(by_function.pid() < by_name.pid());
        let same = by_name.clone();
        assert_eq!(
            HashSet::from([same.clone(), by_name.tasklet().clone()]).len(),
            1
        );
        let me = Tasklet::current();
        assert_eq!(by_name.parent(), Some(me.clone()));
        assert_eq!(join(spawn(|| Tasklet::current().parent())), Some(me));
        join(by_name);
        assert!(!same.is_alive());
    });
}

#[test]
fn a_thread_is_no_tasklet() {
    assert_eq!(Tasklet::try_current(), None);
    assert!(!Tasklet::is_stopping());
    assert!(std::panic::catch_unwind(Tasklet::current).is_err());
    assert!(std::panic::catch_unwind(Tasklet::try_receive).is_err());
    Tasklet::yield_now();
    Tasklet::sleep(SHORT);
}

#[test]
fn a_tasklet_stays_on_its_worker_and_goes_where_it_is_placed() {
    run(|| {
        let thread_of = |worker| {
            join(spawn_on(worker, || {
                let thread = thread::current().id();
                for pause in 0..20 {
                    match pause % 3 {
                        0 => Tasklet::yield_now(),
                        1 => Tasklet::sleep(Duration::from_micros(50)),
                        _ => drop(spawn_on(pause, || ()).join()),
                    }
                    assert_eq!(thread::current().id(), thread);
                }
                // A child lives where its parent does.
                assert_eq!(join(Tasklet::spawn(|| thread::current().id())), thread);
                thread
            }))
        };
        let threads: Vec<_> = (0..WORKERS).map(thread_of).collect();
        assert_eq!(threads.iter().collect::<HashSet<_>>().len(), WORKERS);
        assert_eq!(
            thread_of(WORKERS),
            threads[0],
            "beyond the last it begins again"
        );
        let anywhere = Tasklet::builder()
            .placement(Placement::LeastLoaded)
            .spawn(|| thread::current().id());
        assert!(threads.contains(&join(anywhere.unwrap())));
    });
}

#[test]
fn a_thread_of_the_pool_spawns_for_its_program() {
    run(|| {
        let child = block_on_thread(|| Tasklet::spawn(|| Tasklet::receive().count()));
        assert_eq!(child.parent(), None, "a thread is no parent");
        child.send(Note(1)).unwrap();
        assert_eq!(join(child), 1);
    });
}

#[test]
fn a_weak_reference_does_not_hold() {
    run(|| {
        let tasklet = spawn(|| Tasklet::receive().count());
        let weak = tasklet.downgrade();
        weak.upgrade().expect("it lives").send(Note(1)).unwrap();
        assert_eq!(join(tasklet), 1);
        assert_eq!(weak.upgrade(), None);
    });
}
