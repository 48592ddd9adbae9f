//! Files over HTTP, byte by byte.

#![cfg(feature = "http")]

#[cfg(feature = "tls")]
#[path = "../common/certificates.rs"]
mod certificates;
mod changes;
#[path = "../common/mod.rs"]
mod common;
mod contents;
mod directories;
#[path = "../common/http.rs"]
mod web;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use actor_core::block_on_thread;
use actor_net::http::{Body, Files, HeaderValue, HttpServer, Limits, Request, Response};
use common::{eventually, in_tasklet, keep_log, logged};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use web::{Client, Running, spawn};

/// A directory that goes with its test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("actor-net-files-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        Dir(dir)
    }

    /// Puts a file there that was changed long ago.
    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_time(&path, 1_000_000_000);
        path
    }

    fn files(&self) -> Files {
        Files::new(&self.0).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_time(path: &Path, second: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";

fn serve(files: Files) -> Running {
    spawn(move |request: Request<Body>| files.serve(&request))
}

/// An answer, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// Asks for something on a connection that goes on.
fn ask(client: &mut Client, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    client.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n"
    ));
    answer(client, method)
}

fn answer(client: &mut Client, method: &str) -> Answer {
    let head = client.head();
    let mut lines = head.lines();
    let status: u16 = lines.next().unwrap()[9..12].parse().unwrap();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = match method {
        "HEAD" => 0,
        _ if status == 304 => 0,
        _ => headers["content-length"].parse().unwrap(),
    };
    let mut body = vec![0; length];
    client.0.read_exact(&mut body).unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

fn get(client: &mut Client, target: &str) -> Answer {
    ask(client, "GET", target, &[])
}

/// Bytes no two stretches of which are alike.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}
