//! Models of the lock-free parts, whose interleavings loom tries.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p actor-core --release --lib loom
//! ```
//!
//! The parts are the real ones; what is modelled is what surrounds them. A worker is a thread with the
//! steps of `worker::drive`, a tasklet a function with those of `receive`, the doorbell a
//! [`Notify`], which like an eventfd keeps a ring until somebody waits, and like `epoll_wait` may return
//! for no reason.
//!
//! **Preemption bound.** A thread that is made to wait gives way for free; the bound is on how often
//! one is interrupted where it could go on. The queues and cells alone are small enough for no bound.
//! The models with a worker in them have some forty switch points a thread, and their schedules grow
//! with the bound's power. So two is the bound where three threads take part, and three where there
//! are two; all models together then take half a minute. The bounds are enough to find the mistakes
//! that the parts invite, each of which has been made for a try: a plain store for an exchange, an
//! order too weak, a state written without looking, a wake-up or an idle mark forgotten.
//!
//! loom leaves out schedules that it takes for equal to others, and not always rightly. Where a model
//! is about one certain meeting, it joins a thread to bring that about.

mod futures;
mod mailboxes;
mod nodes;
mod permits;
mod queues;
mod readiness;
mod replies;
mod wait_lists;
mod worker;

use loom::sync::Arc;

/// Checks `model` under every schedule with at most `preemptions`; under all of them if `None`.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Shares what is complete only once it has been used, under loom.
fn made<T>(value: T, used: impl FnOnce(&T)) -> Arc<T> {
    used(&value);
    Arc::new(value)
}
