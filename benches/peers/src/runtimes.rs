//! Starts each side's runtime. On all of them `main` runs on a worker, as a task among the others:
//! under tokio's `block_on` it would be on a thread apart, and pay for every wake-up across.

use concurrence::Runtime;
use std::future::Future;
use std::process::ExitCode;
use tokio::runtime::Builder;

/// Ours.
pub(crate) fn concurrence(workers: usize, main: impl FnOnce() + Send + 'static) -> ExitCode {
    Runtime::builder().workers(workers).dispatch(main)
}

/// tokio's `multi_thread` runtime.
pub(crate) fn tokio_multi_thread(
    workers: usize,
    main: impl Future<Output = ()> + Send + 'static,
) -> ExitCode {
    block_on(Builder::new_multi_thread().worker_threads(workers), main)
}

/// tokio's `current_thread` runtime: cheaper where one worker is enough.
pub(crate) fn tokio_current_thread(main: impl Future<Output = ()> + Send + 'static) -> ExitCode {
    block_on(&mut Builder::new_current_thread(), main)
}

fn block_on(builder: &mut Builder, main: impl Future<Output = ()> + Send + 'static) -> ExitCode {
    let runtime = builder.enable_all().build().expect("a runtime starts");
    match runtime.block_on(runtime.spawn(main)) {
        Ok(()) => ExitCode::SUCCESS,
        // The panic has been printed.
        Err(_) => ExitCode::FAILURE,
    }
}
