//! Errors and kills that wait for the tasklet's turn.

use super::*;

/// A tasklet that ends by an error or a kill, and says so as it does, in the operation `wait`; and one
/// behind it.
fn victim(log: &Log, wait: fn()) -> [JoinHandle<()>; 2] {
    let inner = log.clone();
    let victim = Tasklet::spawn(move || {
        let _says = OnDrop::new(move || inner.add("victim"));
        wait();
    });
    Tasklet::schedule();
    [victim, log.says("worker")]
}

const HOW: [fn(&Tasklet); 2] = [
    |tasklet| tasklet.raise_later(Enough).unwrap(),
    Tasklet::kill,
];

#[test]
fn a_pending_end_of_a_queued_one_comes_in_its_turn() {
    alone(|| {
        for end in HOW {
            let log = Log::default();
            let [victim, _worker] = victim(&log, Tasklet::schedule);
            end(&victim);
            log.add("after");
            Tasklet::schedule();
            assert_eq!(log.take(), "after victim worker");
            assert!(!victim.is_alive());
        }
    });
}

#[test]
fn a_pending_end_of_a_blocked_or_paused_one_comes_behind_all_others() {
    alone(|| {
        for end in HOW {
            for wait in [|| Tasklet::sleep(PATIENCE), Tasklet::schedule_remove] {
                let log = Log::default();
                let [victim, _worker] = victim(&log, wait);
                end(&victim);
                log.add("after");
                Tasklet::schedule();
                assert_eq!(log.take(), "after worker victim");
                assert!(!victim.is_alive());
            }
        }
    });
}

#[test]
fn a_pending_error_in_the_current_one_is_raised_at_its_next_operation() {
    alone(|| {
        let log = Log::default();
        let inner = log.clone();
        let raised = catch_raised::<Enough, _>(move || {
            Tasklet::current().raise_later(Enough).unwrap();
            inner.add("still here");
            Tasklet::schedule();
            inner.add("never");
        });
        assert_eq!(raised, Err(Enough));
        assert_eq!(log.take(), "still here");
    });
}

#[test]
fn a_pending_error_for_the_dead_comes_back() {
    alone(|| {
        let ended = spawn(|| ());
        let RaiseError::Ended(error) = ended.raise_later(Enough).unwrap_err();
        assert!(error.is::<Enough>());
        ended.kill();
    });
}

#[test]
fn a_pending_error_reaches_another_worker() {
    alone(|| {
        let far = spawn_on(usize::from(Tasklet::current().worker() == 0), || {
            catch_raised::<Enough, _>(|| Tasklet::sleep(PATIENCE))
        });
        far.raise_later(Enough).unwrap();
        match far.join() {
            Ok(caught) => assert_eq!(caught, Err(Enough)),
            // It came before the tasklet had begun.
            Err(error) => assert!(matches!(error, JoinError::Raised(_)), "{error:?}"),
        }
    });
}

#[test]
fn raise_takes_a_receiver_off_its_channel_at_once() {
    alone(|| {
        let log = Log::default();
        let channel = Channel::<u8>::new();
        let (other, inner) = (channel.clone(), log.clone());
        let waits = spawn(move || {
            let raised = catch_raised::<Enough, _>(|| other.receive());
            assert!(matches!(raised, Err(Enough)));
            inner.add("raised");
            other.balance()
        });
        let _worker = log.says("worker");
        assert_eq!(channel.balance(), -1);
        waits.raise(Enough).unwrap();
        log.add("after");
        assert_eq!(log.take(), "raised after"); // it was in no queue: straight back
        assert_eq!((channel.balance(), join(waits)), (0, 0));
    });
}
