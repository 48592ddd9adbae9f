//! Handlers that wait, and answers that come later.

use super::*;

#[test]
fn handlers_that_wait_hold_up_nobody_else() {
    const SLEEPERS: usize = 1_000;
    const READERS: usize = 500;
    const OTHERS: usize = 10_000;
    run(|| {
        let gate = Gate::new();
        let sleepers: Vec<_> = (0..SLEEPERS)
            .map(|n| {
                let addr = Addr::builder().placement(Placement::Worker(n % WORKERS));
                let addr = addr.spawn(Puppet::new().0).unwrap();
                let gate = gate.clone();
                addr.send(deed(move |_, _| {
                    gate.pass();
                    0
                }))
                .unwrap();
                addr
            })
            .collect();
        let (sockets, readers): (Vec<_>, Vec<_>) = (0..READERS)
            .map(|n| {
                let (near, far) = UnixStream::pair().unwrap();
                let source = Source::new(near).unwrap();
                let addr = Addr::builder().placement(Placement::Worker(n % WORKERS));
                let addr = addr.spawn(Puppet::new().0).unwrap();
                addr.send(deed(move |puppet, _| {
                    let read = read_byte(&source);
                    let _ = puppet.tell.send(format!("read {read}"));
                    0
                }))
                .unwrap();
                (far, addr)
            })
            .unzip();
        let others: Vec<_> = (0..OTHERS).map(|_| Addr::spawn(Puppet::new().0)).collect();
        for (n, other) in others.iter().enumerate() {
            assert_eq!(other.call(deed(move |_, _| n)), Ok(n));
        }
        // All of them have been served while those waited.
        assert!(!gate.is_open());
        for mut socket in sockets {
            socket.write_all(&[1]).unwrap();
        }
        gate.open();
        for sleeper in sleepers.into_iter().chain(readers) {
            sleeper.stop();
            assert!(matches!(reason(&sleeper), ExitReason::Stopped));
        }
    });
}

#[test]
fn handlers_wait_for_everything() {
    run(|| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let source = Source::new(near).unwrap();
        let addr = Addr::spawn(Puppet::new().0);
        let reads = {
            let addr = addr.clone();
            spawn(move || addr.call(deed(move |_, _| 1 + usize::from(read_byte(&source)))))
        };
        wait_until_it_waits(&reads, "waits for a reply");
        far.write_all(&[6]).unwrap();
        assert_eq!(join(reads), Ok(7));
        let on_thread = addr.call(deed(|_, _| block_on_thread(|| 3)));
        assert_eq!(on_thread, Ok(3));
        // A call to another, on another worker, that calls a third.
        let [second, third] = [1, 2].map(|worker| {
            let builder = Addr::builder().placement(Placement::Worker(worker));
            builder.spawn(Puppet::new().0).unwrap()
        });
        let nested = addr.call(deed(move |_, _| {
            let inner = move |_: &mut Puppet, _: &mut Context<Puppet>| {
                third.call(deed(|_, _| 40)).unwrap() + 1
            };
            second.call(deed(inner)).unwrap() + 1
        }));
        assert_eq!(nested, Ok(42));
        let joined = addr.call(deed(|_, _| Tasklet::spawn(|| 9).join().unwrap()));
        assert_eq!(joined, Ok(9));
    });
}

#[test]
fn an_answer_may_come_later_and_from_elsewhere() {
    struct Waiter(Vec<ReplyTo<usize>>);
    impl Actor for Waiter {}
    #[derive(Message)]
    #[message(reply = usize)]
    struct Wait;
    #[derive(Message)]
    struct Answer(usize);
    impl Accepts<Wait> for Waiter {
        fn accept(&mut self, _: Wait, reply: ReplyTo<usize>, _: &mut Context<Self>) {
            self.0.push(reply);
        }
    }
    impl Handler<Answer> for Waiter {
        fn handle(&mut self, Answer(n): Answer, _: &mut Context<Self>) {
            let mut replies = self.0.drain(..);
            // The first from a thread, the others unanswered.
            if let Some(reply) = replies.next() {
                thread::spawn(move || reply.send(n));
            }
        }
    }
    run(|| {
        let waiter = Addr::spawn(Waiter(Vec::new()));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let waiter = waiter.clone();
                let caller = spawn(move || waiter.call(Wait));
                wait_until_it_waits(&caller, "waits for a reply");
                caller
            })
            .collect();
        waiter.send(Answer(3)).unwrap();
        let answers: Vec<_> = callers.into_iter().map(join).collect();
        assert_eq!(answers, [Ok(3), Err(CallError::Unanswered)]);
    });
}
