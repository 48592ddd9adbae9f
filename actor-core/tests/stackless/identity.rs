//! Who is who.

use super::*;

#[test]
fn who_is_current_and_who_is_main() {
    alone(|| {
        let main = Tasklet::current();
        assert!(main.is_current() && main.is_main());
        assert_eq!(Tasklet::main().as_ref(), Some(&main));
        let known = main.clone();
        let other = spawn(move || {
            assert!(!known.is_current() && known.is_main());
            let me = Tasklet::current();
            assert!(me.is_current() && !me.is_main());
            assert_eq!(Tasklet::main(), Some(known));
        });
        assert!(!other.is_current() && !other.is_main());
        let other = other.tasklet().clone();
        block_on_thread(move || {
            assert!(!other.is_current() && !main.is_current() && main.is_main());
            assert!(Tasklet::main().is_none());
        });
    });
}

#[test]
fn main_is_none_when_it_has_ended() {
    let (tell, told) = std::sync::mpsc::channel();
    alone(move || {
        let main = Tasklet::current();
        Tasklet::spawn(move || {
            wait_until(|| !main.is_alive());
            tell.send(Tasklet::main().is_none()).unwrap();
        });
    });
    assert!(told.recv().unwrap());
}

#[test]
fn a_tasklet_tells_its_worker() {
    alone(|| {
        for worker in 0..common::WORKERS {
            let there = spawn_on(worker, || Tasklet::current().worker());
            assert_eq!((there.worker(), join(there)), (worker, worker));
        }
    });
}
