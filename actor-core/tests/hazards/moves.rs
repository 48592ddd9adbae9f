//! Tasklets that code of the substrate's moves: noticed, and the end.

use super::*;

/// Runs each case of the test `name` in a child, and asserts that it dies of a tasklet that is not at
/// home, with the tasklet's name.
fn assert_each_dies_of_a_move(name: &str, cases: usize) {
    for case in 0..cases {
        let output = in_child_with(name, Some(case));
        assert_eq!(
            output.status.signal(),
            Some(libc::SIGABRT),
            "case {case}: {output:?}"
        );
        let said = stderr(&output);
        assert!(
            said.contains("fatal (tasklet the strayed one): a tasklet has been moved"),
            "case {case}: {said}"
        );
        assert!(!said.contains("it went unnoticed"), "case {case}: {said}");
    }
}

fn case() -> usize {
    std::env::var(CASE)
        .expect("the child has a case")
        .parse()
        .expect("a number")
}

/// What belongs to a tasklet and is used in it after it has been moved.
struct Belongings {
    friend: Tasklet,
    lock: Arc<Mutex<()>>,
    descriptor: Source,
}

/// An operation of each kind: that only counts, that can wait, that asks who it is, that gives back.
const OPERATIONS: &[fn(&Belongings)] = &[
    |mine| drop(mine.friend.send(Ball(mine.friend.clone()))),
    |mine| assert!(mine.friend.call(Ask(1)).is_err()),
    |mine| drop(mine.lock.lock()),
    |mine| drop(mine.descriptor.wait(Direction::Read, None)),
    |_| Tasklet::yield_now(),
    |_| Tasklet::sleep(SHORT),
    |_| drop(Tasklet::try_receive()),
    |_| drop(Tasklet::current()),
    |_| drop(Tasklet::spawn(|| ())),
    |_| assert!(timeout(SHORT, || Some(())).is_some()),
    |_| block_on_thread(|| ()),
];

#[test]
fn a_tasklet_that_sleeps_in_may_is_noticed_at_its_next_operation() {
    if is_child() {
        let operation = OPERATIONS[case()];
        run(move || {
            let (near, _far) = UnixStream::pair().unwrap();
            let mine = Belongings {
                friend: Tasklet::current(),
                lock: Arc::default(),
                descriptor: Source::new(near).unwrap(),
            };
            let astray = Tasklet::builder().name("the strayed one");
            let astray = astray.spawn(move || {
                may::coroutine::sleep(SHORT);
                operation(&mine);
                eprintln!("it went unnoticed");
            });
            drop(astray.unwrap().join());
        });
        return;
    }
    assert_each_dies_of_a_move(
        "moves::a_tasklet_that_sleeps_in_may_is_noticed_at_its_next_operation",
        OPERATIONS.len(),
    );
}

#[test]
fn a_tasklet_that_parks_in_may_is_noticed_on_another_worker() {
    if is_child() {
        // On a worker that has nothing to do, and on one that is in the middle of another tasklet.
        let busy = case() == 1;
        run(move || {
            let handles = std::sync::mpsc::channel::<may::coroutine::Coroutine>();
            let waker = thread::spawn(move || {
                // From a thread, so that each goes to the next worker.
                handles.1.into_iter().for_each(|parked| parked.unpark());
            });
            let tell = handles.0;
            let neighbours: Vec<_> = (1..WORKERS)
                .filter(|_| busy)
                .map(|worker| spawn_on(worker, may::coroutine::park))
                .collect();
            let astray = Tasklet::builder()
                .name("the strayed one")
                .placement(Placement::Worker(0));
            let astray = astray.spawn(move || {
                // SAFETY: a plain system call.
                let thread = || unsafe { libc::gettid() };
                let home = thread();
                while thread() == home {
                    // It may be unparked before it parks, and then goes on where it is.
                    tell.send(may::coroutine::current()).unwrap();
                    may::coroutine::park();
                }
                drop(Tasklet::current());
                eprintln!("it went unnoticed");
            });
            drop(astray.unwrap().join());
            drop(neighbours);
            drop(waker);
        });
        return;
    }
    assert_each_dies_of_a_move(
        "moves::a_tasklet_that_parks_in_may_is_noticed_on_another_worker",
        2,
    );
}

#[test]
fn a_yield_in_may_moves_nothing() {
    run(|| {
        let home = thread::current().id();
        for _ in 0..100 {
            may::coroutine::yield_now();
            Tasklet::yield_now();
            assert_eq!(thread::current().id(), home);
        }
    });
}

#[test]
fn a_generator_in_a_tasklet_may_do_what_does_not_wait() {
    run(|| {
        let me = Tasklet::current();
        let mut sends =
            generator::Gn::new_scoped(move |mut scope: generator::Scope<'_, '_, (), _>| {
                for _ in 0..3 {
                    let sent = me.send(Ball(Tasklet::current())).is_ok();
                    scope.yield_(sent);
                }
                generator::done!();
            });
        assert!(sends.by_ref().all(|sent| sent));
        assert_eq!(Tasklet::pending(), 3);
    });
}
