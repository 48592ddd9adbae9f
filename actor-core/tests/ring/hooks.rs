//! Hooks.

use super::*;

#[test]
fn the_schedule_hook_hears_of_each_switch() {
    alone(|| {
        let main = Tasklet::current();
        let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let log = heard.clone();
        let worker = thread::current().id();
        set_schedule_hook(Some(Arc::new(move |from, to| {
            if thread::current().id() == worker {
                let name = |tasklet: Option<&Tasklet>| {
                    tasklet.map_or("none".to_owned(), |tasklet| tasklet.name().to_owned())
                };
                log.lock().push((name(from), name(to)));
                assert!(heard_nothing_that_waits());
            }
        })));
        let named = |name| {
            Tasklet::builder()
                .name(name)
                .spawn(Tasklet::schedule)
                .unwrap()
        };
        Tasklet::schedule(); // heard of from here on
        let (a, b) = (named("A"), named("B"));
        heard.lock().clear();
        Tasklet::run_all();
        join(a);
        join(b);
        Tasklet::sleep(common::SHORT);
        set_schedule_hook(None);
        let heard = heard.lock();
        let pairs: Vec<_> = heard
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            pairs[..5],
            [
                ("main", "A"),
                ("A", "B"),
                ("B", "A"),
                ("A", "B"),
                ("B", "main")
            ]
        );
        assert!(pairs[5..].contains(&("main", "none")), "{pairs:?}");
        assert!(pairs[5..].contains(&("none", "main")), "{pairs:?}");
        drop(main);
    });
}

/// In a hook nothing can wait, and that says so.
fn heard_nothing_that_waits() -> bool {
    Event::new().wait_timeout(PATIENCE).is_err()
}

#[test]
fn a_hook_that_panics_is_contained() {
    alone(|| {
        set_schedule_hook(Some(Arc::new(|_, _| panic!("the hook's own"))));
        join(spawn(Tasklet::schedule));
        set_schedule_hook(None);
    });
}
