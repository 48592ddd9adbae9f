//! States.

use super::*;

#[test]
fn dead_is_none_of_all() {
    alone(|| {
        let ended = Tasklet::spawn(|| ());
        let tasklet = ended.tasklet().clone();
        join(ended);
        assert_eq!(flags(&tasklet), [false; 4]);
    });
}

#[test]
fn scheduled_is_alive_and_scheduled() {
    alone(|| {
        let ready = Tasklet::spawn(|| ());
        assert_eq!(flags(&ready), [true, true, false, false]);
    });
}

#[test]
fn current_is_alive_and_scheduled() {
    alone(|| assert_eq!(flags(&Tasklet::current()), [true, true, false, false]));
}

#[test]
fn removed_is_alive_and_paused() {
    alone(|| {
        let removed = Tasklet::spawn(|| ());
        removed.remove().unwrap();
        assert_eq!(flags(&removed), [true, false, false, true]);
        removed.insert().unwrap();
        assert_eq!(flags(&removed), [true, true, false, false]);
        join(removed);
    });
}

#[test]
fn bound_with_arguments_is_alive_and_paused() {
    alone(|| {
        let bound = Tasklet::builder().paused(true).spawn(|| 7).unwrap();
        Tasklet::schedule();
        assert_eq!(flags(&bound), [true, false, false, true]);
        bound.insert().unwrap();
        assert_eq!(join(bound), 7);
    });
}

#[test]
fn blocked_is_alive_scheduled_and_blocked() {
    alone(|| {
        let blocked = spawn(|| Tasklet::receive().count());
        assert_eq!(flags(&blocked), [true, true, true, false]);
    });
}

#[test]
fn caller_of_run_is_alive_and_paused() {
    alone(|| {
        let main = Tasklet::current();
        let other = Tasklet::spawn(move || flags(&main));
        Tasklet::run_all();
        assert_eq!(join(other), [true, false, false, true]);
    });
}

#[test]
fn caller_of_schedule_remove_is_alive_and_paused() {
    alone(|| {
        let removes = spawn(Tasklet::schedule_remove);
        assert_eq!(flags(&removes), [true, false, false, true]);
        removes.insert().unwrap();
        join(removes);
    });
}

#[test]
fn caller_of_switched_to_stays_scheduled() {
    alone(|| {
        let main = Tasklet::current();
        let other = Tasklet::spawn(move || flags(&main));
        other.run().unwrap();
        assert_eq!(join(other), [true, true, false, false]);
    });
}
