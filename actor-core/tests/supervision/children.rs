//! Children of other kinds, and many of them.

use super::*;

#[test]
fn tasklets_are_children_too() {
    run(|| {
        let log = Log::default();
        let current: Arc<Mutex<Option<Tasklet>>> = Arc::default();
        let body = {
            let (log, current) = (log.clone(), current.clone());
            move || -> Result<(), BoxError> {
                let me = Tasklet::current();
                log.write("+t");
                let log = log.clone();
                let _end = OnDrop::new(move || log.write("-t"));
                *current.lock().unwrap() = Some(me);
                for message in Tasklet::receive() {
                    match message.downcast_ref::<Order>() {
                        Some(Order::Return) => return Ok(()),
                        Some(Order::Fail) => return Err("no sugar".into()),
                        Some(Order::Panic) => panic!("no luck"),
                        None => {}
                    }
                }
                *current.lock().unwrap() = None;
                Ok(())
            }
        };
        #[derive(Message)]
        enum Order {
            Return,
            Fail,
            Panic,
        }
        let [a, b] = ["a", "b"].map(|name| part(name, &log));
        let supervisor = Supervisor::rest_for_one().intensity(MANY, FAR);
        let supervisor = supervisor.child(a).tasklet("t", body).child(b);
        let supervisor = Addr::spawn(supervisor);
        log.expect_all("+a +b +t");
        let order = |order| {
            let tasklet = current.lock().unwrap().clone().unwrap();
            assert_eq!(tasklet.name(), "t");
            tasklet.send(order).unwrap();
        };
        for end in [Order::Return, Order::Fail, Order::Panic] {
            order(end);
            log.expect_all("-t -b +b +t");
        }
        let killed = current.lock().unwrap().clone().unwrap();
        killed.kill();
        log.expect_all("-t -b +b +t");
        drop(killed);
        stop(&supervisor);
        log.expect("-b -t -a");

        // One that does not listen is killed, when its supervisor is.
        let begun = Gate::new();
        let supervisor = {
            let (log, begun) = (log.clone(), begun.clone());
            Addr::spawn(Supervisor::one_for_one().tasklet("deaf", move || {
                let log = log.clone();
                let _end = OnDrop::new(move || log.write("-deaf"));
                begun.open();
                Tasklet::sleep(FAR);
            }))
        };
        begun.pass();
        supervisor.kill();
        log.expect("-deaf");
    });
}

#[test]
fn a_thousand_children_come_and_go() {
    const CHILDREN: usize = 1_000;
    struct One(Arc<AtomicUsize>);
    impl Actor for One {}
    impl Drop for One {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    #[derive(Message)]
    #[message(reply = u32)]
    struct End(u32);
    impl Handler<End> for One {
        fn handle(&mut self, End(how): End, ctx: &mut Context<Self>) -> u32 {
            match how {
                0 => ctx.stop(),
                1 => panic!("no luck"),
                _ => {}
            }
            how
        }
    }
    run(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let supervisor = Addr::spawn(Supervisor::one_for_one());
        let children: Vec<_> = (0..CHILDREN)
            .map(|n| {
                let alive = alive.clone();
                let child = Child::new(format!("child {n}"), move || {
                    alive.fetch_add(1, Ordering::SeqCst);
                    One(alive.clone())
                });
                let child = supervisor.start(child.restart(Restart::Temporary));
                child.unwrap()
            })
            .collect();
        assert_eq!(alive.load(Ordering::SeqCst), CHILDREN);
        for (n, child) in children.iter().enumerate() {
            match n % 4 {
                0 => assert_eq!(child.call(End(0)), Ok(0)),
                1 => assert_eq!(child.call(End(1)), Err(CallError::Ended)),
                2 => child.kill(),
                _ => assert_eq!(child.call(End(7)), Ok(7)),
            }
        }
        for (n, child) in children.iter().enumerate() {
            if n % 4 != 3 {
                reason(child);
            }
        }
        assert!(supervisor.is_alive());
        // It has forgotten them.
        let debug = supervisor.start(Child::new("last", || One(Arc::new(AtomicUsize::new(1)))));
        assert_eq!(alive.load(Ordering::SeqCst), CHILDREN / 4);
        stop(&supervisor);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        assert!(matches!(reason(&debug.unwrap()), ExitReason::Shutdown));
        assert!(matches!(reason(&children[3]), ExitReason::Shutdown));
    });
}
