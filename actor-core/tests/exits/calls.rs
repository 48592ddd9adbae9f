//! Calls of one that ends.

use super::*;

/// Keeps the rights to answer: in itself, put aside, or with others.
struct Debtor {
    owed: Vec<ReplyTo<usize>>,
    aside: bool,
}

#[derive(Message)]
struct Finish(End);

impl Actor for Debtor {}

impl Accepts<Ask> for Debtor {
    fn accept(&mut self, ask: Ask, reply: ReplyTo<usize>, ctx: &mut Context<Self>) {
        if self.aside {
            ctx.stash_call(ask, reply);
        } else {
            self.owed.push(reply);
        }
    }
}

impl Handler<Finish> for Debtor {
    fn handle(&mut self, Finish(how): Finish, ctx: &mut Context<Self>) {
        match how {
            End::Normal => ctx.stop(),
            End::Stopped => ctx.addr().stop_now(),
            End::Killed => ctx.addr().kill(),
            End::Panicked => panic!("no luck"),
            End::Failed => ctx.fail("no sugar"),
        }
    }
}

#[test]
fn calls_whose_answer_was_put_off_end_with_the_one_that_owed_it() {
    run(|| {
        for how in ENDS {
            for aside in [false, true] {
                let owed = Vec::new();
                let debtor = Addr::spawn(Debtor { owed, aside });
                let callers: Vec<_> = (0..WORKERS)
                    .map(|worker| {
                        let debtor = debtor.clone();
                        spawn_on(worker, move || debtor.call(Ask(1)))
                    })
                    .collect();
                callers
                    .iter()
                    .for_each(|caller| wait_until_it_waits(caller, "waits for a reply"));
                // Handled after the calls.
                debtor.send(Finish(how)).unwrap();
                for caller in callers {
                    assert_eq!(join(caller), Err(CallError::Ended), "{how:?}");
                }
            }
        }
    });
}

#[test]
fn calls_in_every_state_end_with_the_one_that_is_called() {
    struct Busy(Gate);
    impl Actor for Busy {}
    impl Handler<Ask> for Busy {
        fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> usize {
            self.0.open();
            Tasklet::sleep(PATIENCE * 100);
            7
        }
    }
    run(|| {
        for worker in 0..WORKERS {
            let begun = Gate::new();
            let busy = Addr::builder().placement(Placement::Worker(worker));
            let busy = busy.spawn(Busy(begun.clone())).unwrap();
            let call = |busy: &Addr<Busy>| {
                let busy = busy.clone();
                let caller = spawn(move || busy.call(Ask(1)));
                wait_until_it_waits(&caller, "waits for a reply");
                caller
            };
            let handled = call(&busy);
            begun.pass();
            let waits = call(&busy);
            // From an actor, and from a thread.
            let from_actor = Being::spawn(Kind::Actor);
            let (tell, told) = channel();
            let called = busy.clone();
            from_actor.tell(move || {
                tell.send(called.call(Ask(1))).unwrap();
                Then::Go
            });
            let called = busy.clone();
            let thread = thread::spawn(move || called.call(Ask(1)));
            busy.kill();
            assert_eq!(join(handled), Err(CallError::Ended));
            assert_eq!(join(waits), Err(CallError::Ended));
            from_actor.run(|| ());
            assert_eq!(told.try_recv(), Ok(Err(CallError::Ended)));
            assert_eq!(thread.join().unwrap(), Err(CallError::Ended));
        }
    });
}

#[test]
fn a_call_that_a_tasklet_has_taken_ends_with_it() {
    run(|| {
        let taken = Gate::new();
        let open = taken.clone();
        let server = spawn(move || {
            let call = Tasklet::receive_one().unwrap().downcast_call::<Ask>();
            open.open();
            Tasklet::sleep(PATIENCE * 100);
            drop(call);
        });
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let server = server.tasklet().clone();
                let caller = spawn(move || server.call(Ask(1)));
                wait_until_it_waits(&caller, "waits for a reply");
                caller
            })
            .collect();
        taken.pass();
        server.kill();
        for caller in callers {
            assert_eq!(join(caller), Err(CallError::Ended));
        }
    });
}

/// A call that has been handed on is answered by whoever has it.
#[test]
fn a_call_that_was_handed_on_does_not_end_with_the_first() {
    run(|| {
        let owed = Vec::new();
        let debtor = Addr::spawn(Debtor { owed, aside: false });
        let caller = {
            let debtor = debtor.clone();
            spawn(move || debtor.call(Ask(1)))
        };
        wait_until_it_waits(&caller, "waits for a reply");
        #[derive(Message)]
        struct HandOver(Sender<ReplyTo<usize>>);
        impl Handler<HandOver> for Debtor {
            fn handle(&mut self, HandOver(to): HandOver, _: &mut Context<Self>) {
                to.send(self.owed.pop().unwrap()).unwrap();
            }
        }
        let (to, handed) = channel();
        debtor.send(HandOver(to)).unwrap();
        debtor.send(Finish(End::Panicked)).unwrap();
        promptly(|limit| debtor.join_timeout(limit)).unwrap();
        handed.recv().unwrap().send(9);
        assert_eq!(join(caller), Ok(9));
    });
}
