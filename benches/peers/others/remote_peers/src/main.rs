//! The group `remote` between two processes with ractor_cluster, tarpc or tonic:
//! `remote_peers PEER WORKERS serve` and `remote_peers PEER WORKERS load METRIC ADDRESS`.
//!
//! With one worker tokio is its `current_thread`, which is the better one there.

mod measure;
mod ractor;
mod tarpc;
mod tonic;

use std::env;
use tokio::runtime::{Builder, Runtime};

fn runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    // The other one takes no notice.
    builder.worker_threads(workers);
    builder.enable_all().build().expect("a runtime starts")
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [peer, workers, role @ ..] = &arguments[..] else {
        panic!("usage: see the source");
    };
    let runtime = runtime(workers.parse().expect("a number of workers"));
    // In a task of its own: `block_on` is not on a worker.
    let task = match (*peer, role) {
        ("ractor_cluster", ["serve"]) => runtime.spawn(ractor::serve()),
        ("tarpc", ["serve"]) => runtime.spawn(tarpc::serve()),
        ("tonic", ["serve"]) => runtime.spawn(tonic::serve()),
        (peer, ["load", metric, address]) => {
            let (metric, address) = (metric.to_string(), address.to_string());
            match peer {
                "ractor_cluster" => runtime.spawn(ractor::load(metric, address)),
                "tarpc" => runtime.spawn(tarpc::load(metric, address)),
                "tonic" => runtime.spawn(tonic::load(metric, address)),
                _ => panic!("no such peer"),
            }
        }
        _ => panic!("no such role"),
    };
    runtime.block_on(task).expect("it does not panic");
}
