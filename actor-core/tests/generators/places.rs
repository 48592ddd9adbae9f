//! Where generators are used: in each other, in handlers, on threads, from another worker.

use super::*;

#[test]
fn generators_nest() {
    run(|| {
        let table = Generator::new(|rows| {
            for row in 1..=3_u32 {
                let cells = Generator::new(move |out| (1..=row).for_each(|n| out.give(row * n)));
                rows.give(cells.collect::<Vec<_>>());
            }
        });
        assert!(table.eq([vec![1], vec![2, 4], vec![3, 6, 9]]));
        // Each is the source of the next, fifty deep.
        let mut chain = Generator::new(|out| (0..10_u64).for_each(|n| out.give(n)));
        for _ in 0..50 {
            let source = chain;
            chain = Generator::new(move |out| source.for_each(|n| out.give(n + 1)));
        }
        assert!(chain.eq(50..60));
    });
}

#[derive(Message)]
#[message(reply = u64)]
struct Sum(u64);

struct Adder(Option<Generator<u64>>);

impl Actor for Adder {}

impl Handler<Sum> for Adder {
    fn handle(&mut self, Sum(n): Sum, _: &mut Context<Self>) -> u64 {
        let slowly = Generator::new(move |out| {
            for n in 0..n {
                out.give(n);
                if n.is_multiple_of(2) {
                    Tasklet::yield_now();
                }
            }
        });
        let own = self.0.get_or_insert_with(|| numbers(&Count::new()));
        slowly.sum::<u64>() * 100 + own.next().unwrap()
    }
}

#[test]
fn handlers_of_actors_use_them() {
    run(|| {
        let adders: Vec<_> = (0..10).map(|_| Addr::spawn(Adder(None))).collect();
        for round in 0..3 {
            for adder in &adders {
                assert_eq!(adder.call(Sum(10)), Ok(4500 + round));
            }
        }
    });
}

#[test]
fn plain_threads_use_them() {
    run(|| {
        let ended = Count::new();
        let elsewhere = {
            let ended = ended.clone();
            move || {
                let first: Vec<_> = numbers(&ended).take(1000).collect();
                let fails: Vec<_> = Generator::fallible(|out| {
                    out.give(1);
                    Err("broken")
                })
                .collect();
                let panics = catch_unwind(|| Generator::new(|_: &Yielder<()>| panic!("x")).count());
                (first.len(), fails, panics.is_err())
            }
        };
        let done = actor_core::block_on_thread(elsewhere);
        assert_eq!(done, (1000, vec![Ok(1), Err("broken")], true));
        wait_until(|| ended.get() == 1);
    });
}

#[test]
fn they_can_be_moved_to_another_worker_and_back() {
    run(|| {
        let ended = Count::new();
        let mut numbers = numbers(&ended);
        for round in 0..9 {
            assert_eq!(numbers.next(), Some(3 * round));
            let moved = spawn_on(1 + round as usize % 2, move || {
                let next = numbers.next();
                (numbers, next)
            });
            let next;
            (numbers, next) = join(moved);
            assert_eq!(next, Some(3 * round + 1));
            let moved = thread::spawn(move || {
                let next = numbers.next();
                (numbers, next)
            });
            (numbers, _) = actor_core::block_on_thread(|| moved.join().unwrap());
        }
        assert_eq!(ended.get(), 0);
        join(spawn_on(1, move || drop(numbers)));
        wait_until(|| ended.get() == 1);
    });
}

#[test]
fn elements_from_another_worker_all_come() {
    run(|| {
        let builder = Tasklet::builder().placement(actor_core::Placement::Worker(1));
        let far = builder.generator(|out| (0..20_000_u64).for_each(|n| out.give(n)));
        assert!(far.unwrap().eq(0..20_000));
    });
}

#[test]
fn elements_can_be_given_from_calls_further_down() {
    enum Tree {
        Leaf,
        Node(Box<Tree>, u32, Box<Tree>),
    }

    fn tree(of: std::ops::Range<u32>) -> Box<Tree> {
        if of.is_empty() {
            return Box::new(Tree::Leaf);
        }
        let middle = of.start + (of.end - of.start) / 2;
        Box::new(Tree::Node(
            tree(of.start..middle),
            middle,
            tree(middle + 1..of.end),
        ))
    }

    fn walk(tree: &Tree, out: &Yielder<u32>) -> Result<(), SpawnError> {
        if let Tree::Node(left, value, right) = tree {
            call(|| walk(left, out))??;
            out.give(*value);
            call(|| walk(right, out))??;
        }
        Ok(())
    }

    run(|| {
        let whole = tree(0..100);
        let values = Generator::fallible(move |out| walk(&whole, out));
        let values: Result<Vec<_>, _> = values.collect();
        assert!(values.unwrap().into_iter().eq(0..100));

        let whole = tree(0..100);
        let far = Tasklet::builder().placement(actor_core::Placement::Worker(1));
        let values = far
            .fallible_generator(move |out| walk(&whole, out))
            .unwrap();
        assert!(values.map(Result::unwrap).eq(0..100));

        let whole = tree(0..100);
        let cut = Generator::fallible(move |out| walk(&whole, out));
        assert!(cut.take(30).map(Result::unwrap).eq(0..30));
        wait_until(|| Tasklet::current().children().is_empty());
    });
}

#[test]
fn giving_on_another_thread_panics() {
    run(|| {
        let mut wrong = Generator::new(|out: &Yielder<u8>| {
            let given = thread::scope(|scope| {
                scope
                    .spawn(|| catch_unwind(AssertUnwindSafe(|| out.give(1))).is_err())
                    .join()
            });
            assert!(given.unwrap());
            out.give(2);
        });
        assert_eq!(wrong.next(), Some(2));
    });
}

#[test]
fn a_generator_in_use_does_not_keep_others_from_running() {
    run(|| {
        let (tell, told) = mpsc::channel();
        let endless = Tasklet::spawn(move || {
            for n in numbers(&Count::new()) {
                if n == 1000 {
                    tell.send(()).unwrap();
                }
            }
        });
        // The timer of this sleep, and then this tasklet, get their turns.
        Tasklet::sleep(SHORT);
        wait_until(|| told.try_recv().is_ok());
        endless.kill();
        assert_killed(&endless);
    });
}

#[test]
fn a_thousand_nest() {
    run(|| {
        let ended = Count::new();
        let nest = (0..1000).fold(
            Generator::new(|out| (0..3).for_each(|n| out.give(n))),
            |inner, _| {
                let counts = ended.clone();
                Generator::new(move |out| {
                    let _ended = OnDrop::new(move || _ = counts.up());
                    inner.for_each(|n: u32| out.give(n + 1));
                })
            },
        );
        let me = Tasklet::current();
        let mut nest = nest.inspect(|_| assert_eq!(Tasklet::current(), me));
        assert_eq!(nest.next(), Some(1000));
        assert_eq!(ended.get(), 0);
        drop(nest);
        wait_until(|| ended.get() == 1000);
    });
}
