//! Links: who falls with whom, and who traps it.

use super::*;

#[test]
fn links_break_both_ways_in_any_mixture() {
    run(|| {
        for (one, other) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            for how in ENDS {
                for first_ends in [true, false] {
                    let (one, other) = (Being::spawn(one), Being::spawn(other));
                    one.link_to(&other);
                    let (ends, stays) = if first_ends {
                        (&one, &other)
                    } else {
                        (&other, &one)
                    };
                    ends.end(how);
                    if how.is_abnormal() {
                        stays.assert_has_fallen_with(ends);
                    } else {
                        ends.wait();
                        how.assert_is(&exit_of(ends).reason);
                        assert_eq!(stays.run(|| 7), 7);
                        stays.end(End::Normal);
                        stays.wait();
                        End::Normal.assert_is(&exit_of(stays).reason);
                    }
                }
            }
        }
    });
}

#[test]
fn who_traps_exits_hears_of_linked_ends_and_lives() {
    run(|| {
        for (one, other) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            for how in ENDS {
                let (trapper, told) = Being::trapping(one);
                let other = Being::spawn(other);
                // Twice is once.
                trapper.link_to(&other);
                other.link_to(&trapper);
                other.end(how);
                let exit = heard(&told);
                assert_eq!((exit.pid, exit.linked), (other.pid(), true));
                assert_eq!(*exit.name, other.name());
                how.assert_is(&exit.reason);
                assert!(trapper.run(move || told.try_recv()).is_err());
            }
        }
    });
}

#[test]
fn a_tasklet_can_stop_trapping() {
    run(|| {
        let (trapper, told) = Being::trapping(Kind::Tasklet);
        let [one, other] = KINDS.map(Being::spawn);
        trapper.link_to(&one);
        one.end(End::Killed);
        heard(&told);
        trapper.run(|| Tasklet::trap_exits(false));
        trapper.link_to(&other);
        other.end(End::Killed);
        trapper.assert_has_fallen_with(&other);
    });
}

#[test]
fn a_link_is_taken_back_from_either_side() {
    run(|| {
        for (one, other) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            for first_takes_back in [true, false] {
                let (one, other) = (Being::spawn(one), Being::spawn(other));
                one.link_to(&other);
                let (from, to) = if first_takes_back {
                    (&one, other.clone())
                } else {
                    (&other, one.clone())
                };
                from.run(move || to.unlink());
                other.end(End::Killed);
                other.wait();
                assert_eq!(one.run(|| 7), 7);
            }
        }
    });
}

#[test]
fn a_link_with_oneself_is_none() {
    run(|| {
        for kind in KINDS {
            let (trapper, told) = Being::trapping(kind);
            trapper.link_to(&trapper);
            trapper.run({
                let trapper = trapper.clone();
                move || {
                    trapper.monitor();
                    trapper.unlink();
                }
            });
            trapper.end(End::Panicked);
            trapper.wait();
            assert!(told.try_recv().is_err());
        }
    });
}

#[test]
fn a_chain_falls_from_any_place() {
    const LEN: usize = 1_000;
    for broken in [0, LEN / 2, LEN - 1] {
        run(move || {
            let chain: Vec<_> = (0..LEN)
                .map(|n| Being::spawn_on(n % WORKERS, KINDS[n % 2], false).0)
                .collect();
            for pair in chain.windows(2) {
                pair[0].link_to(&pair[1]);
            }
            chain[broken].end(End::Panicked);
            chain.iter().for_each(Being::wait);
            assert!(chain.iter().all(|being| !being.is_alive()));
        });
    }
}

#[test]
fn a_ring_and_a_clique_fall_once() {
    run(|| {
        let ring: Vec<_> = (0..10)
            .map(|n| Being::spawn_on(n % WORKERS, KINDS[n % 2], false).0)
            .collect();
        for (n, being) in ring.iter().enumerate() {
            being.link_to(&ring[(n + 1) % ring.len()]);
        }
        ring[3].end(End::Failed);
        ring.iter().for_each(Being::wait);

        let (outside, told) = Being::trapping(Kind::Actor);
        let clique: Vec<_> = (0..12)
            .map(|n| Being::spawn_on(n % WORKERS, KINDS[n % 2], false).0)
            .collect();
        for one in &clique {
            outside.link_to(one);
            clique.iter().for_each(|other| one.link_to(other));
        }
        clique[5].end(End::Killed);
        clique.iter().for_each(Being::wait);
        let mut fallen: Vec<_> = clique.iter().map(|_| heard(&told).pid).collect();
        fallen.sort();
        let mut all: Vec<_> = clique.iter().map(Being::pid).collect();
        all.sort();
        assert_eq!(fallen, all);
        assert!(outside.run(move || told.try_recv()).is_err());
    });
}

#[test]
fn one_takes_a_thousand_along() {
    run(|| {
        let hub = Being::spawn(Kind::Actor);
        let spokes: Vec<_> = (0..1_000)
            .map(|n| Being::spawn_on(n % WORKERS, KINDS[n % 2], false).0)
            .collect();
        spokes.iter().for_each(|spoke| spoke.link_to(&hub));
        hub.end(End::Killed);
        spokes.iter().for_each(Being::wait);
    });
}
