//! The hook.

use super::*;

#[test]
fn the_hook_sees_who_does_what_and_may_panic() {
    run(|| {
        let channel = Channel::new();
        let id = channel.id();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = seen.clone();
        set_channel_hook(Some(Arc::new(move |operation| {
            // Other tests have channels as well.
            if operation.channel == id {
                let what = (operation.by, operation.sending, operation.will_block);
                sees.lock().unwrap().push(what);
                panic!("on purpose");
            }
        })));
        let waiting = receiver(&channel);
        channel.send(1).unwrap();
        let other = channel.clone();
        thread::spawn(move || other.send(2));
        // The thread is in the line before it says so, and may be met in between.
        wait_until(|| seen.lock().unwrap().len() == 3);
        assert_eq!(channel.receive().unwrap(), 2);
        assert!(set_channel_hook(None).is_some());
        let (me, other) = (Pid::current(), Some(waiting.pid()));
        assert_eq!(
            *seen.lock().unwrap(),
            [
                (other, false, true),
                (me, true, false),
                (None, true, true),
                (me, false, false)
            ]
        );
        assert_eq!(join(waiting).unwrap(), 1);
    });
}
