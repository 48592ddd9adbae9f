//! Files over HTTP when there are no descriptors or threads left: on its own, since that concerns the whole process.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod web;

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actor_core::{DEFAULT_POOL_THREADS, Tasklet, block_on_thread};
use actor_net::http::{Body, Files, Request};
use common::{eventually, in_tasklet};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use web::{Client, get, spawn};

/// One after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn directory() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("actor-net-limit-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "hello").unwrap();
    dir
}

#[test]
fn without_threads_files_are_not_to_be_had_for_a_while() {
    let _alone = alone();
    in_tasklet(|| {
        let dir = directory();
        let files = Files::new(&dir).unwrap().listing(true);
        let files = files.patience(Duration::from_millis(50));
        let server = spawn(move |request: Request<Body>| files.serve(&request));
        let mut client = Client::of(&server);
        client.send(get("/"));
        assert!(client.body().contains("file"));

        let (all, begun) = channel();
        let held: Vec<_> = (0..DEFAULT_POOL_THREADS)
            .map(|_| {
                let all = all.clone();
                let (sender, receiver) = channel::<()>();
                let holds = Tasklet::spawn(move || {
                    block_on_thread(move || {
                        all.send(()).unwrap();
                        receiver.recv()
                    })
                });
                (holds, sender)
            })
            .collect();
        let mut count = 0;
        eventually("all threads are held", || {
            count += begun.try_iter().count();
            count == DEFAULT_POOL_THREADS
        });
        client.send(get("/"));
        let (head, _) = client.answer();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        for (holds, sender) in held {
            drop(sender);
            assert!(holds.join().unwrap().is_err());
        }
        client.send(get("/"));
        assert!(client.body().contains("file"));
        fs::remove_dir_all(dir).unwrap();
    });
}

#[test]
fn without_descriptors_files_are_not_to_be_had_for_a_while() {
    let _alone = alone();
    in_tasklet(|| {
        let dir = directory();
        let files = Files::new(&dir).unwrap();
        let server = spawn(move |request: Request<Body>| files.serve(&request));
        let mut client = Client::of(&server);
        client.send(get("/file"));
        assert_eq!(client.body(), "hello");

        let limit = getrlimit(Resource::Nofile);
        let lowest = File::open("/dev/null").unwrap().as_raw_fd();
        let current = Some(lowest as u64);
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
        for _ in 0..3 {
            client.send(get("/file"));
            let (head, _) = client.answer();
            assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        }
        setrlimit(Resource::Nofile, limit).unwrap();
        client.send(get("/file"));
        assert_eq!(client.body(), "hello");
        fs::remove_dir_all(dir).unwrap();
    });
}
