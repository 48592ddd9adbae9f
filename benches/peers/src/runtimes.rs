//! Starts each side's runtime. On all of them `main` runs on a worker, as a task among the others:
//! under tokio's `block_on` it would be on a thread apart, and pay for every wake-up across.

use concurrence::Runtime;
use std::future::Future;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
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

/// No runtime: the system's threads.
pub(crate) fn threads(main: impl FnOnce()) -> ExitCode {
    main();
    ExitCode::SUCCESS
}

/// A server of them, with a thread a connection. It has the stack that a tasklet has.
pub(crate) fn serve_by_threads(
    listener: &TcpListener,
    serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) {
    for stream in listener.incoming() {
        let stream = stream.expect("a client");
        stream.set_nodelay(true).expect("a TCP socket");
        let serve = serve.clone();
        thread::Builder::new()
            .stack_size(STACK)
            // A client that has gone is none of the server's affair.
            .spawn(move || drop(serve(stream)))
            .expect("a thread");
    }
}

const STACK: usize = 128 * 1024;
