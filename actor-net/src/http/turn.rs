//! A connection's turn: what has come is taken apart, and answered.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::sync::Arc;

use actor_core::__private::catch_panic;
use http::{HeaderMap, Method, Request, StatusCode, Version};

use super::body::{Body, Kind};
use super::clerk::Desk;
use super::conn::Conn;
use super::encode::Asked;
use super::framing::Framing;
use super::incoming::{Incoming, Input, Outcome, Returns};
use super::raw::Shortcut;
use super::reader::Event;
use super::stream::Handshake;
use super::upgrade::{self, Then};
use super::wire::Output;

/// How much is served in one turn.
const TURN_BYTES: usize = 64 * 1024;
const TURN_REQUESTS: u32 = 64;

/// How a turn has ended.
pub(super) enum End {
    /// Nothing more has come.
    Wait,
    /// There may be more, and others have waited long enough.
    Again,
    /// The connection is to be closed.
    Close,
    /// It goes on with another protocol, which has been agreed upon.
    Upgrade(Then),
}

/// Where in a request it is.
#[derive(Clone, Copy)]
enum Stage {
    Between,
    /// The handler runs.
    Handling(Asked),
    /// The answer has begun to go out.
    Answering,
}

/// Whether a request has been answered without the handler.
enum Cut {
    No,
    Yes,
    /// And it was the last of its connection.
    Last,
}

/// See the [module](self). If it is unwound, which only a kill does, the connection is cut.
pub(super) struct Turn<'a> {
    desk: &'a Desk<'a>,
    conn: &'a Arc<Conn>,
    /// Borrowed while an answer is made, but not while its handler runs.
    output: &'a RefCell<Output>,
    stage: Cell<Stage>,
    requests: Cell<u32>,
    /// A body has the input, or has kept it.
    lent: Cell<bool>,
}

impl<'a> Turn<'a> {
    /// One that gathers its answers there.
    pub(super) fn new(
        desk: &'a Desk<'a>,
        conn: &'a Arc<Conn>,
        output: &'a RefCell<Output>,
    ) -> Self {
        Turn {
            desk,
            conn,
            output,
            stage: Cell::new(Stage::Between),
            requests: Cell::new(0),
            lent: Cell::new(false),
        }
    }

    /// How many requests it has seen.
    pub(super) fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Whether a body has what was to be read next.
    pub(super) fn has_lent(&self) -> bool {
        self.lent.get()
    }

    /// The clerk is about to wait. Others are served meanwhile; and what has been answered already does not wait for
    /// the handler that does.
    pub(super) fn leave(&self) {
        if let Ok(mut output) = self.output.try_borrow_mut() {
            output.try_flush(self.conn.stream());
        }
        self.desk.hand_over();
    }

    /// Reads, and answers what it reads. A panic ends the connection, after what can still be said. `spare` is an
    /// empty map whose memory is used again.
    pub(super) fn serve(&self, input: &mut Input, spare: &mut HeaderMap) -> io::Result<End> {
        let end = catch_panic(|| self.serve_all(input, spare));
        let end = end.unwrap_or_else(|panic| {
            let (server, peer) = (&self.desk.shard.common().admission.name, self.conn.addr());
            tracing::error!(server, %peer, %panic, "a handler has panicked");
            if let Stage::Handling(asked) = self.stage.get() {
                let asked = Asked {
                    keep_alive: false,
                    ..asked
                };
                let mut output = self.output.borrow_mut();
                output.brief(StatusCode::INTERNAL_SERVER_ERROR, asked);
            }
            Ok(End::Close)
        });
        self.desk.clear();
        end
    }

    fn serve_all(&self, input: &mut Input, spare: &mut HeaderMap) -> io::Result<End> {
        let common = self.desk.shard.common();
        let limits = &*common.limits;
        let stream = self.conn.stream();
        if !stream.is_established() {
            match stream.establish(self.conn) {
                Handshake::Done => {}
                Handshake::GoesOn => return Ok(End::Wait),
                Handshake::Failed => return Ok(End::Close),
            }
        }
        let mut received = 0;
        loop {
            loop {
                // As it is behind most of what is received: then there is nothing to be found out by parsing it.
                if input.bytes.is_empty() && input.reader.is_between() {
                    break;
                }
                if self.requests.get() == TURN_REQUESTS {
                    self.output.borrow_mut().flush(stream, limits)?;
                    return Ok(End::Again);
                }
                if let Some(shortcut) = &common.shortcut {
                    match self.cut_short(shortcut, input)? {
                        Cut::No => {}
                        Cut::Yes => continue,
                        Cut::Last => return Ok(End::Close),
                    }
                }
                // Made here and given to the handler, so that it is not moved from one place to another: it is large.
                let mut request = Request::default();
                *request.headers_mut() = mem::take(spare);
                match input.reader.next(&mut input.bytes, &mut request, limits) {
                    Ok(None) => {
                        *spare = mem::take(request.headers_mut());
                        break;
                    }
                    Ok(Some(Event::Head(framing))) => {
                        self.requests.set(self.requests.get() + 1);
                        let end = self.request(request, framing, input, spare)?;
                        self.desk.clear();
                        if let Some(end) = end {
                            return Ok(end);
                        }
                    }
                    // Whoever takes a head takes its body as well.
                    Ok(Some(_)) => return Ok(End::Close),
                    Err(error) => {
                        let (server, peer) = (&common.admission.name, self.conn.addr());
                        tracing::debug!(server, %peer, %error, "request refused");
                        self.output.borrow_mut().refuse(error.status());
                        return Ok(End::Close);
                    }
                }
            }
            self.output.borrow_mut().flush(stream, limits)?;
            if input.reader.is_over() {
                return Ok(End::Close);
            }
            if received >= TURN_BYTES {
                return Ok(End::Again);
            }
            match stream.try_receive(&mut input.bytes) {
                Ok(0) => return Ok(End::Close),
                Ok(count) => received += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(End::Wait),
                Err(error) => return Err(error),
            }
        }
    }

    /// Has the next request be answered without the handler, if it can be.
    #[inline]
    fn cut_short(&self, shortcut: &Shortcut, input: &mut Input) -> io::Result<Cut> {
        let common = self.desk.shard.common();
        let limits = &*common.limits;
        let mut asked = Asked {
            head: false,
            version: Version::HTTP_11,
            keep_alive: true,
        };
        let answer = input.reader.show(&mut input.bytes, limits, |head| {
            asked.head = head.method() == b"HEAD";
            self.stage.set(Stage::Handling(asked));
            shortcut(head)
        });
        if let Stage::Handling(_) = self.stage.replace(Stage::Between) {
            self.desk.clear();
        }
        let Some(answer) = answer else {
            return Ok(Cut::No);
        };
        self.requests.set(self.requests.get() + 1);
        let count = self.conn.count_request();
        let may_follow = limits.requests.is_none_or(|limit| count < limit);
        asked.keep_alive = may_follow && !self.desk.shard.is_stopping();
        let mut output = self.output.borrow_mut();
        if answer.status.is_informational() {
            tracing::warn!(status = %answer.status, "a shortcut has given an answer that is none");
            output.refuse(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(Cut::Last);
        }
        self.stage.set(Stage::Answering);
        let keep_alive = output.answer_raw(answer, asked, self.conn.stream(), limits)?;
        self.stage.set(Stage::Between);
        Ok(match keep_alive {
            true => Cut::Yes,
            false => Cut::Last,
        })
    }

    /// Serves a request; how the turn ends if it was the last of its connection. The memory of the answer's headers
    /// becomes `spare`.
    #[inline]
    fn request(
        &self,
        mut request: Request<Body>,
        framing: Framing,
        input: &mut Input,
        spare: &mut HeaderMap,
    ) -> io::Result<Option<End>> {
        let common = self.desk.shard.common();
        let limits = &common.limits;
        let stream = self.conn.stream();
        let count = self.conn.count_request();
        if limits.requests.is_some_and(|limit| count >= limit) {
            input.reader.close();
        }
        let is_tunnel = request.method() == Method::CONNECT;
        let mut asked = Asked {
            head: request.method() == Method::HEAD,
            version: request.version(),
            keep_alive: framing.keep_alive && limits.requests.is_none_or(|limit| count < limit),
        };
        let (body, returns) = match input.reader.whole_body(&mut input.bytes) {
            Some(whole) => (whole.into(), None),
            None => {
                // It may be a while before this one is answered, or come at all only when those before it are.
                self.output.borrow_mut().flush(stream, limits)?;
                let (input, returns) = (mem::take(input), Returns::default());
                self.lent.set(true);
                let incoming = Incoming::new(
                    self.conn.clone(),
                    limits.clone(),
                    input,
                    framing,
                    returns.clone(),
                );
                (Body(Kind::Incoming(Box::new(incoming))), Some(returns))
            }
        };

        self.stage.set(Stage::Handling(asked));
        *request.body_mut() = body;
        let mut response = common.handler.handle(request);

        // The body may also be that of the answer.
        let mut lent = returns;
        let mut unread = false;
        if let Some((back, outcome)) = lent.as_ref().and_then(|returns| returns.take_back()) {
            lent = None;
            self.lent.set(false);
            *input = back;
            match outcome {
                Outcome::Read => {}
                Outcome::Unread => {
                    asked.keep_alive = false;
                    unread = true;
                }
                Outcome::Refused(status) => {
                    self.output.borrow_mut().refuse(status);
                    return Ok(Some(End::Close));
                }
                Outcome::Lost => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        // Behind a tunnel that has been refused may come what was meant for the other end of it.
        asked.keep_alive &= !is_tunnel && !self.desk.shard.is_stopping();
        let at_end = || !unread && lent.is_none();
        match upgrade::decided(&mut response, is_tunnel, asked.version, at_end) {
            upgrade::Turn::None => {}
            upgrade::Turn::Upgrade(then) => {
                self.stage.set(Stage::Answering);
                let mut output = self.output.borrow_mut();
                output.upgrade(&response, stream, limits)?;
                return Ok(Some(End::Upgrade(then)));
            }
            upgrade::Turn::Refuse(status) => {
                self.output.borrow_mut().refuse(status);
                return Ok(Some(End::Close));
            }
        }
        self.stage.set(Stage::Answering);
        let keep_alive = {
            let mut output = self.output.borrow_mut();
            if lent.as_ref().is_some_and(|returns| returns.is_to_be_told()) {
                output.go_on();
            }
            match output.answer(&mut response, asked, stream, limits) {
                Ok(answered) => answered,
                Err(error) => {
                    // What there was before is not to be lost with it. If it is the socket that has failed, nothing is
                    // left to be sent.
                    let _ = output.flush(stream, limits);
                    return Err(error);
                }
            }
        };
        self.stage.set(Stage::Between);
        mem::swap(spare, response.headers_mut());
        spare.clear();
        if let Some(returns) = lent {
            match returns.take_back() {
                Some((back, Outcome::Read)) => {
                    self.lent.set(false);
                    *input = back;
                }
                _ => return Ok(Some(End::Close)),
            }
        }
        Ok((!keep_alive).then_some(End::Close))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && self.desk.shard.remove(self.conn) {
            self.conn.clone().cut();
        }
    }
}

impl Output {
    /// Answers what is no request, or none that can be served; the last that is said on a connection.
    pub(super) fn refuse(&mut self, status: StatusCode) {
        let asked = Asked {
            head: false,
            version: Version::HTTP_11,
            keep_alive: false,
        };
        self.brief(status, asked);
    }
}
