//! The block trap.

use super::*;

#[test]
fn the_trap_is_set_and_taken_back() {
    alone(|| {
        assert!(!Tasklet::set_block_trap(true));
        assert!(Tasklet::set_block_trap(true));
        {
            let _trap = BlockTrap::set();
        }
        assert!(Tasklet::set_block_trap(false));
        {
            let _trap = BlockTrap::set();
        }
        assert!(!Tasklet::set_block_trap(false));
        // It is each tasklet's own.
        let _trap = BlockTrap::set();
        let other = Tasklet::spawn(|| Tasklet::set_block_trap(false));
        Tasklet::schedule();
        assert!(matches!(other.join(), Ok(false)));
    });
}

#[test]
fn what_would_block_fails() {
    alone(|| {
        let held = Arc::new(Mutex::new(()));
        let guard = held.lock();
        let lock = held.clone();
        let full = Mailbox::bounded(1, Overflow::Block);
        let receiver = Tasklet::with_mailbox(full)
            .spawn(Tasklet::schedule_remove)
            .unwrap();
        receiver.send(Note2).unwrap();
        let other = receiver.tasklet().clone();
        let trapped = spawn(move || {
            let _trap = BlockTrap::set();
            assert!(matches!(receiver.join(), Err(JoinError::WouldBlock)));
            assert_eq!(receiver.call(Note), Err(CallError::WouldBlock));
            assert!(matches!(receiver.send(Note2), Err(SendError::Full(_))));
            assert_eq!(
                Tasklet::receive_one().unwrap_err(),
                ReceiveError::WouldBlock
            );
            assert!(matches!(
                try_block_on_thread(|| ()),
                Err(BlockOnThreadError::WouldBlock)
            ));
            assert!(lock.lock_timeout(PATIENCE).is_err());
            for panics in [
                catch_unwind(AssertUnwindSafe(|| drop(lock.lock()))),
                catch_unwind(AssertUnwindSafe(|| Tasklet::sleep(PATIENCE))),
                catch_unwind(AssertUnwindSafe(|| Tasklet::receive().for_each(drop))),
                catch_unwind(AssertUnwindSafe(|| Event::new().wait())),
            ] {
                let payload = panics.unwrap_err();
                let said = payload.downcast_ref::<String>().expect("a text");
                assert!(said.contains(&WouldBlock.to_string()), "{said}");
            }
            let caller = Tasklet::spawn(|| Tasklet::receive().for_each(drop));
            assert!(matches!(caller.call(Note), Err(CallError::WouldBlock)));
        });
        join(trapped);
        drop(guard);
        // Nothing of what has failed has left a trace.
        assert!(held.try_lock().is_some());
        other.kill();
    });
}

#[test]
fn what_need_not_wait_succeeds_in_the_trap() {
    alone(|| {
        let ended = spawn(|| 7);
        let _trap = BlockTrap::set();
        Tasklet::current().send(Note2).unwrap();
        assert!(Tasklet::receive_one().is_ok());
        drop(Mutex::new(()).lock());
        Tasklet::sleep(Duration::ZERO);
        Tasklet::schedule();
        let other = Tasklet::spawn(|| ());
        other.run().unwrap();
        Tasklet::run_all();
        assert_eq!(ended.join().unwrap(), 7);
    });
}
