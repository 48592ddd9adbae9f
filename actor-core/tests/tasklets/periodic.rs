//! Tasklets that begin later, or again and again. Exact counts are in `virtual_clock.rs`.

use super::*;

#[test]
fn later_and_the_periodic_ones_end_when_they_are_stopped() {
    run(|| {
        let count = Count::new();
        let up = || {
            let count = count.clone();
            move || {
                let _ = count.up();
            }
        };
        let forever = Duration::from_secs(3600);
        let waiting = [
            Tasklet::later(forever, up()),
            Tasklet::interval(forever, up()),
            Tasklet::later(Duration::MAX, up()),
        ];
        for tasklet in waiting {
            wait_until_it_waits(&tasklet, "waits for a time");
            tasklet.stop();
            join(tasklet);
        }
        assert_eq!(count.get(), 0);
        join(Tasklet::later(SHORT, up()));
        assert_eq!(count.get(), 1);

        let busy = [
            Tasklet::rate(5_000.0, up()),
            Tasklet::interval(Duration::ZERO, up()),
        ];
        wait_until(|| count.get() > 10);
        for tasklet in busy {
            tasklet.stop();
            join(tasklet);
        }
    });
}

#[test]
fn what_repeats_passes_a_kill_on_and_lets_others_run() {
    run(|| {
        let count = Count::new();
        let repeated = {
            let count = count.clone();
            Tasklet::repeat(move || {
                let _ = count.up();
            })
        };
        wait_until(|| count.get() > 100);
        repeated.kill();
        assert_killed(&repeated);

        let receiver = Tasklet::repeat(|| Tasklet::receive().for_each(drop));
        wait_until_it_waits(&receiver, "waits for a message");
        receiver.stop();
        join(receiver);
    });
}

#[test]
fn a_rate_must_make_sense() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(std::panic::catch_unwind(|| Tasklet::rate(rate, || ())).is_err());
    }
}
