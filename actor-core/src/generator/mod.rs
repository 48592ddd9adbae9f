//! Code with callbacks as an iterator.
//!
//! The inner code runs in a tasklet of its own, so it keeps its stack from one element to the next. It
//! and the consumer take turns: it runs only while the consumer waits in `next`.
//!
//! **On one worker** the consumer [visits](worker::Local::visit) the inner tasklet: it switches to it as
//! the driver would, and is back as soon as that one gives an element, ends, or waits for something
//! else. In the last case the consumer sleeps like anybody who waits, the driver goes on with the inner
//! tasklet when its time comes, and the element wakes the consumer.
//!
//! **From elsewhere** (another worker, a plain thread) the two wake each other.
//!
//! One byte says whose turn it is, and with it who may touch the slot: the producer while it is
//! [`WANTED`], the consumer otherwise.
//!
//! A producer that may run [ahead](Generator::ahead) keeps its turn for so many elements more, as long as
//! it is visited. If it waits for something else before they are complete, the consumer, who is back
//! then, takes what there is, and the turn with it.
//!
//! What the two do with that byte and the slot is in `meeting`.

mod meeting;

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};
use std::thread::panicking;

use parking_lot::Mutex;

use self::meeting::{ENDED, GIVEN, IDLE, Meeting, Slot, WANTED};
use crate::block::{self, Here, Interrupt, Wait, Waiting};
use crate::runtime::panics;
use crate::tasklet::builder::TaskletBuilder;
use crate::tasklet::core::Core;
use crate::tasklet::join::{self, Packet};
use crate::wait_list::WaitList;
use crate::worker::{self, Local};
use crate::{JoinError, SpawnError, Tasklet};

/// An iterator over what other code hands to a callback.
///
/// A parser that calls back, the walk of a tree, a visitor of a C library: code that calls you has its
/// place in the middle of its work on the stack, so you cannot leave it between two elements. A
/// generator runs it in a tasklet of its own, whose stack stays as it is while you do something with the
/// element.
///
/// ```
/// use actor_core::{Generator, Yielder, dispatch};
///
/// enum Tree {
///     Leaf,
///     Node(Box<Tree>, u32, Box<Tree>),
/// }
///
/// fn walk(tree: &Tree, out: &Yielder<u32>) {
///     if let Tree::Node(left, value, right) = tree {
///         walk(left, out);
///         out.give(*value);
///         walk(right, out);
///     }
/// }
///
/// # fn main() {
/// dispatch(|| {
///     let leaf = || Box::new(Tree::Leaf);
///     let left = Box::new(Tree::Node(leaf(), 1, leaf()));
///     let tree = Tree::Node(left, 2, leaf());
///     let values: Vec<u32> = Generator::new(move |out| walk(&tree, out)).collect();
///     assert_eq!(values, [1, 2]);
/// });
/// # }
/// ```
///
/// **Order.** The inner code runs while the consumer is in [`next`](Iterator::next), and at no other
/// time: it begins with the first, and comes back from [`give`](Yielder::give) with the next. So it is
/// never ahead of the consumer, whatever the two share, unless [`ahead`](Self::ahead) says that it may be.
///
/// **Waiting.** The inner code may use every operation that waits; the consumer's worker does other
/// things meanwhile. It is a tasklet, a child of the one that makes the generator: it has a mailbox,
/// locals (it inherits those that are inherited), and [`Tasklet::current`] is that tasklet. A
/// [`timeout`](crate::timeout()) around `next` limits the wait, and loses nothing: the element comes out
/// of a later `next`. One in the inner code around `give` limits how long it waits for the next `next`;
/// what it has given stays given.
///
/// **Ends.** When the inner code returns, the iterator ends, and stays so. If it panics, the panic goes
/// on in `next`. If the generator is dropped before the end, the inner code is ended by unwinding, like
/// a tasklet that is killed: at once, before `drop` returns, if the two are on one worker and the inner
/// code does not wait for something else. A generator that is neither finished nor dropped keeps the
/// program running.
///
/// **Where.** A generator can be used from a tasklet, in an actor's handler, and on a plain thread, and
/// can be moved between them; it costs a switch of stacks per element where its consumer is on the
/// worker that it was made on, some tens of nanoseconds, and two wake-ups elsewhere.
///
/// Stackless Python's users wrote this with a channel; the name and the way it ends early are Python's.
///
/// ```
/// use actor_core::{Generator, dispatch};
///
/// dispatch(|| {
///     // The inner code ends with the generator, wherever it is.
///     let firsts: Vec<u64> = Generator::new(|out| {
///         for n in 0.. {
///             out.give(n);
///         }
///     })
///     .take(3)
///     .collect();
///     assert_eq!(firsts, [0, 1, 2]);
/// });
/// ```
#[must_use = "generators are lazy: the inner code runs when the first element is asked for"]
pub struct Generator<T> {
    meeting: Arc<Meeting>,
    slot: Arc<Slot<T>>,
    /// The inner code's tasklet. No reference to it in the sense of its receive loop.
    core: Arc<Core>,
    packet: Arc<Packet<()>>,
    /// Elements that it was ahead with.
    ready: VecDeque<T>,
    /// Whether its end has been told.
    over: bool,
}

/// Where the inner code of a [`Generator`] leaves its elements.
///
/// ```
/// use actor_core::{Generator, Yielder, dispatch};
///
/// fn countdown(from: u32, out: &Yielder<u32>) {
///     (0..from).rev().for_each(|n| out.give(n));
/// }
///
/// dispatch(|| {
///     assert!(Generator::new(|out| countdown(3, out)).eq([2, 1, 0]));
/// });
/// ```
pub struct Yielder<T> {
    meeting: Arc<Meeting>,
    /// Puts an element into the slot, whose type may be another. To be called by whoever may touch it.
    put: Box<dyn Fn(T) -> usize + Send + Sync>,
    inner: NonNull<Core>,
}

// SAFETY: `inner` is only compared, and its home read, which does not change; it lives as long as its
// body, and so longer than this, which is lent to code that the body calls. The rest is Sync already.
unsafe impl<T> Sync for Yielder<T> {}

impl<T: Send + 'static> Generator<T> {
    /// An iterator over what `f` gives, which runs in a tasklet of its own.
    ///
    /// `f` begins at the first `next`. For a stack of another size, or a name, see
    /// [`TaskletBuilder::generator`].
    ///
    /// ```
    /// use actor_core::{Generator, dispatch};
    ///
    /// dispatch(|| {
    ///     let mut words = Generator::new(|out| {
    ///         "to be or not".split(' ').for_each(|word| out.give(word));
    ///     });
    ///     assert_eq!(words.next(), Some("to"));
    ///     assert_eq!(words.count(), 3);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If the tasklet cannot be spawned: there are too many, or no [`dispatch`](crate::dispatch) runs.
    pub fn new<F>(f: F) -> Generator<T>
    where
        F: FnOnce(&Yielder<T>) + Send + 'static,
    {
        Tasklet::builder()
            .generator(f)
            .unwrap_or_else(|error| refuse(&error))
    }
}

impl<T: Send + 'static, E: Send + 'static> Generator<Result<T, E>> {
    /// The same for code that can fail: what it gives comes out as `Ok`, and its error, if it returns
    /// one, as the last element.
    ///
    /// ```
    /// use actor_core::{Generator, dispatch};
    ///
    /// dispatch(|| {
    ///     let mut numbers = Generator::fallible(|out| {
    ///         for word in ["1", "2", "drei"] {
    ///             out.give(word.parse::<u8>()?);
    ///         }
    ///         Ok::<_, std::num::ParseIntError>(())
    ///     });
    ///     assert_eq!(numbers.next(), Some(Ok(1)));
    ///     assert_eq!(numbers.next(), Some(Ok(2)));
    ///     assert!(numbers.next().unwrap().is_err());
    ///     assert_eq!(numbers.next(), None);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// As [`new`](Generator::new).
    pub fn fallible<F>(f: F) -> Generator<Result<T, E>>
    where
        F: FnOnce(&Yielder<T>) -> Result<(), E> + Send + 'static,
    {
        Tasklet::builder()
            .fallible_generator(f)
            .unwrap_or_else(|error| refuse(&error))
    }
}

#[cold]
fn refuse(error: &SpawnError) -> ! {
    panic!("cannot spawn the tasklet of a generator: {error}")
}

impl TaskletBuilder {
    /// A [`Generator`] whose inner code runs in a tasklet with these settings; fails as
    /// [`spawn`](Self::spawn) does.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let roomy = Tasklet::builder().name("parser").stack_size(1 << 20);
    ///     let names = roomy.generator(|out| out.give(Tasklet::current().name().to_owned()));
    ///     assert_eq!(names.unwrap().next().as_deref(), Some("parser"));
    /// });
    /// ```
    pub fn generator<T, F>(self, f: F) -> Result<Generator<T>, SpawnError>
    where
        T: Send + 'static,
        F: FnOnce(&Yielder<T>) + Send + 'static,
    {
        spawn::<F, _, _>(
            self,
            |element| element,
            |out| {
                f(out);
                None
            },
        )
    }

    /// The same for code that can fail; see [`Generator::fallible`].
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let fails = Tasklet::builder().fallible_generator(|out| {
    ///         out.give(1);
    ///         Err("no more")
    ///     });
    ///     assert!(fails.unwrap().eq([Ok(1), Err("no more")]));
    /// });
    /// ```
    pub fn fallible_generator<T, E, F>(self, f: F) -> Result<Generator<Result<T, E>>, SpawnError>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&Yielder<T>) -> Result<(), E> + Send + 'static,
    {
        spawn::<F, _, _>(self, Ok, |out| f(out).err().map(Err))
    }
}

/// A generator of `I`s. `f` gives `T`s, which `wrap` makes into those, and returns the last if there is
/// another one. The tasklet is called after `F`.
fn spawn<F, T, I>(
    builder: TaskletBuilder,
    wrap: impl Fn(T) -> I + Send + Sync + 'static,
    f: impl FnOnce(&Yielder<T>) -> Option<I> + Send + 'static,
) -> Result<Generator<I>, SpawnError>
where
    T: 'static,
    I: Send + 'static,
{
    let meeting = Arc::new(Meeting {
        state: AtomicU8::new(IDLE),
        abandoned: AtomicBool::new(false),
        ahead: AtomicUsize::new(0),
        visited: AtomicBool::new(false),
        deputy: AtomicPtr::new(ptr::null_mut()),
        remote_deputy: Mutex::new(None),
        taker: WaitList::new(),
    });
    let slot = Arc::new(Slot {
        target: Cell::new(ptr::null_mut()),
        kept: UnsafeCell::new(VecDeque::new()),
    });
    let over = Over(meeting.clone());
    let producer = {
        let slot = slot.clone();
        move || {
            let over = over;
            let meeting = &over.0;
            let Here::Tasklet(local, inner) = block::here() else {
                unreachable!("the body of a tasklet runs in it");
            };
            if !meeting.is_wanted() {
                // Something else has woken it before the first `next`: a stop, for example.
                meeting.wait_for_demand();
            }
            let yielder = Yielder {
                meeting: meeting.clone(),
                put: {
                    let slot = slot.clone();
                    // SAFETY: called by `give` alone, which has made sure of both.
                    Box::new(move |element| unsafe { slot.put(wrap(element)) })
                },
                inner: NonNull::from(inner),
            };
            if let Some(last) = f(&yielder) {
                meeting.hand_over(local, inner, || {
                    // SAFETY: as `hand_over` says.
                    unsafe { slot.put(last) }
                });
            }
        }
    };
    let (core, packet) = builder.spawn_asleep::<F, _, _>(producer)?;
    Ok(Generator {
        meeting,
        slot,
        core,
        packet,
        ready: VecDeque::new(),
        over: false,
    })
}

/// Tells the end when it is dropped: after the inner code, or with it if it has never run.
struct Over(Arc<Meeting>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.tell(ENDED);
    }
}

impl<T> Yielder<T> {
    /// Hands `value` to the consumer, and waits until it wants the next one.
    ///
    /// If the generator has been dropped, this is where the inner code unwinds. While it unwinds, or is
    /// [shielded](Tasklet::shield) from that, values are dropped, without waiting.
    ///
    /// It can also be called further down, in a [`call`](crate::call) that the inner code makes; but in one
    /// place at a time.
    ///
    /// ```
    /// use actor_core::{Generator, SpawnError, Yielder, call, dispatch};
    ///
    /// fn countdown(from: u32, out: &Yielder<u32>) -> Result<(), SpawnError> {
    ///     out.give(from);
    ///     if from > 0 { call(|| countdown(from - 1, out))? } else { Ok(()) }
    /// }
    ///
    /// dispatch(|| {
    ///     let down: Vec<_> = Generator::fallible(|out| countdown(2, out)).map(Result::unwrap).collect();
    ///     assert_eq!(down, [2, 1, 0]);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// On another thread than the inner code's; and where a [`BlockTrap`](crate::BlockTrap) forbids to wait.
    #[inline]
    pub fn give(&self, value: T) {
        let Here::Tasklet(local, me) = block::here() else {
            panic!("an element was given outside the tasklet of its generator");
        };
        if panicking() {
            return;
        }
        let put = || (self.put)(value);
        if ptr::eq(me, self.inner.as_ptr()) {
            self.meeting.hand_over(local, me, put);
        } else {
            // SAFETY: it lives, see above.
            let home = unsafe { self.inner.as_ref() }.home;
            assert_eq!(
                home, local.id,
                "the worker of a generator and of what it is given"
            );
            self.meeting.hand_over_from_below(local, me, put);
        }
    }
}

impl<T> Generator<T> {
    /// Lets the inner code be ahead by as many elements. By default it never is.
    ///
    /// It then gives that many more before the consumer goes on, if the two are on one worker: so one
    /// switch of stacks serves several elements, which tells where an element is a matter of nanoseconds.
    /// What has been given is not held up when the inner code waits for something else or ends: the
    /// elements come first, then the end, or the panic. Those that nobody asks for are dropped with the
    /// generator.
    ///
    /// ```
    /// use actor_core::{Generator, dispatch};
    ///
    /// dispatch(|| {
    ///     let numbers = Generator::new(|out| (0..1000).for_each(|n| out.give(n))).ahead(63);
    ///     assert!(numbers.eq(0..1000));
    /// });
    /// ```
    pub fn ahead(self, elements: usize) -> Self {
        self.meeting.ahead.store(elements, Relaxed);
        self
    }

    /// The tasklet to be visited for the next element, if it is here and sleeps. In `give`, most likely; if
    /// it waits for something else, it looks, and goes on waiting.
    #[inline(always)]
    fn to_visit(&self, local: &Local) -> Option<NonNull<Core>> {
        if local.id != self.core.home {
            return None;
        }
        let deputy = NonNull::new(self.meeting.deputy.load(Relaxed));
        let giver = deputy.unwrap_or(NonNull::from(&*self.core));
        // SAFETY: the inner tasklet, or one that is in `give`: it left word when it came, and takes that
        // back before it leaves, all on this thread.
        unsafe { giver.as_ref() }.wake.is_parked().then_some(giver)
    }

    /// Takes the element that has been given, if one has; also if the end has come since.
    fn take(&mut self) -> Option<T> {
        let state = self.meeting.state.load(Acquire);
        if state != GIVEN && state != ENDED {
            return None;
        }
        // SAFETY: not wanted any more, and this is the consumer.
        unsafe { self.slot.exchange(&mut self.ready) };
        // The producer may come to its end at any moment, where it runs elsewhere; that must stay.
        let _ = self.meeting.change(GIVEN, IDLE);
        self.ready.pop_front()
    }

    /// Waits for the next element, or the end, while the other side runs elsewhere, or waits itself.
    #[cold]
    fn wait(&mut self) -> Option<T> {
        let meeting = &*self.meeting;
        // What the wait list of the consumer asks for is that its entry there comes before its look; what
        // the producer needs is that this comes before the wake-up. And its end must stay, as above.
        if meeting.change(IDLE, WANTED) {
            self.core.wake_up();
            let deputy = meeting.remote_deputy.lock().clone();
            if let Some(deputy) = deputy {
                deputy.wake_up();
            }
        }
        let wait = Wait::new(Waiting::Element(self.core.pid), None);
        let changed = || (meeting.state.load(SeqCst) != WANTED).then_some(());
        let waited = match meeting.taker.wait_until(wait.or_stop(), changed) {
            Err(Interrupt::Stopping) => {
                join::pass_stop_on(&self.core);
                meeting.taker.wait_until(wait, changed)
            }
            waited => waited,
        };
        match waited {
            Ok(()) => {}
            Err(Interrupt::Unwinding) => return None,
            Err(interrupt) => interrupt.raise("waiting for an element"),
        }
        self.take().or_else(|| self.end())
    }

    /// The inner code has ended: tells how.
    #[cold]
    fn end(&mut self) -> Option<T> {
        match block::enter().and_then(|()| join::wait_for_end(&self.core, None)) {
            Ok(()) => {}
            Err(Interrupt::Unwinding) => return None,
            Err(interrupt) => interrupt.raise("waiting for the end of a generator"),
        }
        self.over = true;
        match self.packet.take() {
            Some(Ok(())) | None => None,
            Some(Err(JoinError::Panicked(panic))) => {
                let place = panic.location().map(str::to_owned);
                panics::resume(panic.into_payload(), place)
            }
            Some(Err(error)) => panic!("the tasklet of a generator has ended: {error}"),
        }
    }
}

impl<T> Iterator for Generator<T> {
    type Item = T;

    /// Lets the inner code run until it gives the next element, and waits for it if need be.
    ///
    /// A kill of the consumer unwinds it here; an expired [`timeout`](crate::timeout()) around it unwinds
    /// to the edge of that block, and the element comes later. While the consumer unwinds this waits for
    /// nothing, and returns `None`.
    ///
    /// # Panics
    ///
    /// With the panic of the inner code, if it has panicked; and if somebody has killed its tasklet, since
    /// the elements before would look like all there are.
    // Inlined: its return, after the switch, would be mispredicted.
    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if let Some(element) = self.ready.pop_front() {
            return Some(element);
        }
        if self.over {
            return None;
        }
        let here = block::here();
        if let Err(interrupt) = here.enter() {
            interrupt.raise("waiting for an element");
        }
        if let Here::Tasklet(local, me) = here
            && self.meeting.state.load(Relaxed) == IDLE
            && let Some(giver) = self.to_visit(local)
            && !panicking()
        {
            let mut element = None;
            self.slot.target.set(&raw mut element);
            self.meeting.visited.store(true, Relaxed);
            self.meeting.state.store(WANTED, Relaxed);
            // SAFETY: it is here and sleeps, as has just been found, and the caller runs in `me`.
            unsafe { local.visit(me, giver) };
            self.meeting.visited.store(false, Relaxed);
            // Even if the state is `WANTED`: the producer is of this thread, and does not run.
            self.slot.target.set(ptr::null_mut());
            if element.is_some() {
                // SAFETY: as has just been said.
                unsafe { self.slot.exchange(&mut self.ready) };
                if self.meeting.state.load(Relaxed) != ENDED {
                    self.meeting.state.store(IDLE, Relaxed);
                }
                return element;
            }
        }
        self.wait()
    }
}

impl<T> FusedIterator for Generator<T> {}

impl<T> Drop for Generator<T> {
    fn drop(&mut self) {
        if self.over || self.core.has_ended() {
            return;
        }
        // Dropped after all that follows: a destructor of an element may panic.
        let mut left = VecDeque::new();
        self.meeting.abandoned.store(true, SeqCst);
        if self.meeting.state.load(Acquire) != WANTED {
            // SAFETY: not wanted, and this is the consumer.
            unsafe { self.slot.exchange(&mut left) };
        }
        self.core.mark_killed();
        match block::here() {
            // Here and now, so that what the inner code holds is free when this returns.
            Here::Tasklet(local, me)
                if local.id == self.core.home && self.core.wake.is_parked() && !panicking() =>
            {
                // SAFETY: it is here and sleeps, as has just been found, and the caller runs in `me`.
                unsafe { local.visit(me, NonNull::from(&*self.core)) };
            }
            _ => worker::wake(&self.core),
        }
    }
}

impl<T> fmt::Debug for Generator<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generator({:?})", self.core)
    }
}

impl<T> fmt::Debug for Yielder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Yielder(..)")
    }
}
