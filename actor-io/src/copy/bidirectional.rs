//! [`copy_bidirectional`].

use std::io::{self, Read, Write};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use actor_core::Tasklet;
use parking_lot::Mutex;

use super::{Endpoint, Failure, pump};
use crate::Split;

/// Copies between two streams in both directions, until both have ended; gives how many bytes went from
/// `a` to `b` and from `b` to `a`.
///
/// When one direction ends it is closed, and the other goes on: a half-closed connection is a good
/// one. Each direction is copied as by [`copy`](super::copy()), by a tasklet of its own (on a plain
/// thread, by a thread of its own), so that this takes one stack besides that of the caller, who does
/// one of them.
///
/// If the caller is killed, or a [`timeout`](actor_core::timeout) around this expires, both directions
/// end and both streams are closed.
///
/// # Errors
///
/// The first failure in either direction. One that reads, or waits for too long, ends the other direction
/// too. One that writes does not, since what has been sent by an end that takes no more may still
/// arrive, and the end of that direction is near.
///
/// Fails with no byte copied if there can be no tasklet for the second direction, or thread.
///
/// ```
/// use actor_io::{TcpStream, UnixStream, copy_bidirectional};
///
/// // A proxy from TCP to a Unix socket.
/// fn forward(client: TcpStream) -> std::io::Result<()> {
///     let server = UnixStream::connect("/run/service")?;
///     let (sent, received) = copy_bidirectional(client, server)?;
///     println!("{sent} bytes there, {received} bytes back");
///     Ok(())
/// }
/// # let listener = actor_io::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
/// # forward(client).unwrap_err();
/// ```
pub fn copy_bidirectional<A, B>(a: A, b: B) -> io::Result<(u64, u64)>
where
    A: Split,
    B: Split,
    A::Reader: Endpoint + Send + 'static,
    A::Writer: Endpoint + Send + 'static,
    B::Reader: Endpoint + Send + 'static,
    B::Writer: Endpoint + Send + 'static,
{
    let (from_a, to_a) = a.split();
    let (from_b, to_b) = b.split();
    let failure = Arc::new(Mutex::new(None));
    let other = {
        let failure = Arc::clone(&failure);
        move || one_way(from_a, to_b, &failure)
    };
    let there;
    let back;
    if Tasklet::try_current().is_some() {
        // Ends with the caller, however that ends.
        let tasklet = Tasklet::builder().name("copy").spawn(other)?.kill_on_drop();
        back = one_way(from_b, to_a, &failure);
        there = tasklet.join()?;
    } else {
        let thread = thread::Builder::new()
            .name("copy".to_owned())
            .spawn(other)?;
        back = one_way(from_b, to_a, &failure);
        there = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    }
    match failure.lock().take() {
        None => Ok((there, back)),
        Some(error) => Err(error),
    }
}

/// Copies in one direction, and closes it in the end. Notes the failure if it is the first; if that
/// concerns both directions it ends both.
fn one_way<R, W>(mut from: R, mut to: W, first_failure: &Mutex<Option<io::Error>>) -> u64
where
    R: Read + Endpoint,
    W: Write + Endpoint,
{
    let mut copied = 0;
    let ended = pump(&mut from, &mut to, &mut copied)
        .and_then(|()| to.close_write().map_err(Failure::Write));
    let (error, is_fatal) = match ended {
        Ok(()) => return copied,
        Err(Failure::Read(error)) => (error, true),
        // What keeps it from writing is either the other end's wish, or all that is to be said.
        Err(Failure::Write(error)) => {
            let is_refused = matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            );
            (error, !is_refused)
        }
    };
    first_failure.lock().get_or_insert(error);
    if is_fatal {
        from.abort();
        to.abort();
    }
    copied
}
