//! Look-ups in tasklets and under the virtual clock. In a program of its own, since that clock is all the
//! program's.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use actor_core::{Runtime, Tasklet, join_all, time};
use actor_io::{ResolveError, Resolver, resolve};

/// The clock stands still while a name is looked up, so that nobody's time runs out meanwhile.
#[test]
fn the_virtual_clock_waits_for_look_ups() {
    let code = Runtime::builder().virtual_clock(true).dispatch(|| {
        let asked = Arc::new(AtomicUsize::new(0));
        let resolver = Resolver::new(3, {
            let asked = Arc::clone(&asked);
            move |name| {
                asked.fetch_add(1, SeqCst);
                // Time for the clock to run ahead, if it did.
                thread::sleep(Duration::from_millis(5));
                match name {
                    "nobody" => Err(ResolveError::NotFound),
                    _ => Ok(vec![([127, 0, 0, 1], 0).into()]),
                }
            }
        });
        let begun = time::now();
        let limit = Duration::from_millis(1);
        // Two for each name, and more names than threads.
        let callers = (0..40u16).map(|number| {
            let resolver = resolver.clone();
            Tasklet::spawn(move || {
                let name = format!("host-{}", number / 2);
                resolver.resolve(&name, number, limit)
            })
        });
        for (number, addrs) in join_all(callers).into_iter().enumerate() {
            let addrs = addrs.unwrap().unwrap();
            assert_eq!(addrs, [([127, 0, 0, 1], number as u16).into()]);
        }
        assert_eq!(asked.load(SeqCst), 20);
        let error = resolver.resolve("nobody", 1, limit).unwrap_err();
        assert!(matches!(error, ResolveError::NotFound), "{error}");
        let addrs = resolve("localhost", 7, limit).unwrap();
        assert!(
            addrs
                .iter()
                .all(|addr| addr.ip().is_loopback() && addr.port() == 7)
        );
        assert_eq!(time::now(), begun);
    });
    assert_eq!(code, ExitCode::SUCCESS);
}
