//! A future that tests have somebody else complete.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Values that somebody else brings.
pub(crate) struct Awaited<T>(Mutex<(VecDeque<T>, Option<Waker>)>);

impl<T> Awaited<T> {
    pub(crate) fn new() -> Arc<Awaited<T>> {
        Arc::new(Awaited(Mutex::new((VecDeque::new(), None))))
    }

    pub(crate) fn bring(&self, value: T) {
        let waker = {
            let mut inner = self.0.lock();
            inner.0.push_back(value);
            inner.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.0.lock().1.is_some()
    }

    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut inner = self.0.lock();
        match inner.0.pop_front() {
            Some(value) => Poll::Ready(value),
            None => {
                inner.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(crate) async fn get(&self) -> T {
        poll_fn(|context| self.poll(context)).await
    }
}
