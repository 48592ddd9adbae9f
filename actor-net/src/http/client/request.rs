//! One request of a client: the way that it goes, the connection that it is made on, and what comes back.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "cookies")]
use http::header::COOKIE;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, RANGE};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::conn::{Conn, Head};
#[cfg(feature = "compression")]
use super::decode;
use super::error::{Failed, FetchError};
#[cfg(feature = "compression")]
use super::exchange;
use super::exchange::Exchange;
use super::head::{Asked, Length};
use super::origin::Origin;
use super::proxy::Route;
use super::received::{Home, Received};
use super::reply::Reply;
use super::timeouts::{Clock, Timeouts};
use super::{Inner, head, origin};
use crate::http::body::Body;
use crate::http::error::BadMessage;
use crate::http::framing::BodyEnd;

pub(super) fn failed(error: FetchError) -> Failed {
    Failed {
        error,
        request: None,
    }
}

/// A request that has failed, and whether it is as it was.
pub(super) struct Miss {
    pub(super) error: Box<FetchError>,
    pub(super) unsent: bool,
}

impl From<FetchError> for Miss {
    fn from(error: FetchError) -> Miss {
        Miss {
            error: Box::new(error),
            unsent: true,
        }
    }
}

impl Inner {
    pub(super) fn clock(&self, parts: &Parts) -> Clock {
        let own = parts.extensions.get::<Timeouts>();
        Clock::start(own.unwrap_or(&self.timeouts).clone())
    }

    /// Makes a request once, or twice if the first time was in vain for certain.
    pub(super) fn once(
        &self,
        parts: &mut Parts,
        body: &mut Body,
        clock: &Clock,
        upgrade: bool,
    ) -> Result<(Head, Conn, Route), Miss> {
        if parts.method == Method::CONNECT {
            return Err(
                FetchError::Request("CONNECT is for proxies, which the client asks").into(),
            );
        }
        if let Some(authorization) = origin::take_user(&mut parts.uri)? {
            parts.headers.entry(AUTHORIZATION).or_insert(authorization);
        }
        if !upgrade && matches!(parts.uri.scheme_str(), Some("ws" | "wss")) {
            return Err(FetchError::Request("URLs of WebSockets are for `upgrade`").into());
        }
        let origin = Origin::of(&parts.uri)?;
        let route = self.proxies.route(origin.clone(), upgrade);
        let mut asked = self.asked(parts, &origin, &route, body)?;
        asked.upgrade = upgrade;
        let mut fresh = upgrade;
        // Why there is a second attempt, if the server may have got some of the first.
        let mut went_out = false;
        let mut before = None;
        loop {
            let pooled = match fresh {
                false => self.pool.take(&route),
                true => None,
            };
            let reused = pooled.is_some();
            let mut conn = match pooled {
                Some(conn) => conn,
                None => match self.dialer.dial(&route, clock, &self.limits) {
                    Ok(conn) => conn,
                    Err(error) => {
                        return Err(Miss {
                            error: Box::new(before.unwrap_or(error)),
                            unsent: !went_out,
                        });
                    }
                },
            };
            let mut exchange = Exchange {
                conn: &mut conn,
                asked: &asked,
                clock,
                limits: &self.limits,
                consent: self.consent.unwrap_or(CONSENT),
                touched: false,
                early: None,
            };
            let result = exchange.run(body);
            let touched = exchange.touched;
            match result {
                // It knows no expectations, and may be met all the same.
                Ok(head)
                    if head.response.status() == StatusCode::EXPECTATION_FAILED
                        && asked.expect
                        && !touched =>
                {
                    asked.expect = false;
                    went_out = true;
                }
                Ok(head) => return Ok((head, conn, route)),
                Err(error @ FetchError::Closed(_))
                    if reused
                        && !touched
                        && (conn.sent == 0 || head::is_idempotent(asked.method)) =>
                {
                    // The server has closed it just now.
                    fresh = true;
                    if conn.sent > 0 {
                        went_out = true;
                        before = Some(error);
                    }
                }
                Err(error) => {
                    return Err(Miss {
                        error: Box::new(error),
                        unsent: conn.sent == 0 && !touched && !went_out,
                    });
                }
            }
        }
    }

    /// Adds the cookies of the request's URL, unless it has its own.
    #[cfg(feature = "cookies")]
    pub(super) fn add_cookies(&self, parts: &mut Parts) -> bool {
        let Some(jar) = &self.cookies else {
            return false;
        };
        if parts.headers.contains_key(COOKIE) {
            return false;
        }
        let cookies = jar.get(&parts.uri);
        let added = cookies.is_some();
        parts
            .headers
            .extend(cookies.map(|cookies| (COOKIE, cookies)));
        added
    }

    /// Takes out what was added, since it is for one URL, and keeps what has come.
    #[cfg(feature = "cookies")]
    pub(super) fn take_cookies(
        &self,
        parts: &mut Parts,
        added: bool,
        result: &Result<(Head, Conn, Route), Miss>,
    ) {
        if added {
            parts.headers.remove(COOKIE);
        }
        if let (Some(jar), Ok((head, ..))) = (&self.cookies, result) {
            jar.take(&parts.uri, head.response.headers());
        }
    }

    /// What goes into the head of a request.
    pub(super) fn asked<'a>(
        &self,
        parts: &'a Parts,
        origin: &'a Origin,
        route: &'a Route,
        body: &Body,
    ) -> Result<Asked<'a>, FetchError> {
        let length = head::length(&parts.method, &parts.headers, body)?;
        let has_body = !matches!(length, Length::None | Length::Known(0));
        let expects = self.consent.is_some() || head::expects(&parts.headers);
        Ok(Asked {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            origin,
            forward: match route {
                Route::Forward(place) => Some(place),
                _ => None,
            },
            length,
            expect: has_body && expects,
            upgrade: false,
            encodings: self.encodings(parts),
        })
    }

    #[cfg(feature = "compression")]
    fn encodings(&self, parts: &Parts) -> Option<&'static str> {
        let own = parts.headers.contains_key(ACCEPT_ENCODING) || parts.headers.contains_key(RANGE);
        (self.compression && !own).then_some(decode::ENCODINGS)
    }

    #[cfg(not(feature = "compression"))]
    fn encodings(&self, parts: &Parts) -> Option<&'static str> {
        let _ = (parts.headers.contains_key(ACCEPT_ENCODING), RANGE);
        None
    }

    /// An answer, and its body as it comes.
    pub(super) fn answer(
        &self,
        parts: &Parts,
        head: Head,
        conn: Conn,
        route: Option<Route>,
        clock: &Clock,
    ) -> Result<(Response<()>, Received), FetchError> {
        if let BodyEnd::Length(length) = head.end
            && length > self.limits.body
        {
            return Err(BadMessage::BodyTooLong.into());
        }
        let keeps = head.keep_alive && !head::closes(&parts.headers);
        let home = route
            .filter(|_| keeps)
            .map(|route| Home::Pool(Arc::clone(&self.pool), route));
        let limits = Arc::clone(&self.limits);
        let received = Received::new(conn, head.end, home, limits, clock.clone());
        Ok((head.response, received))
    }

    /// The body as its reader wants it.
    #[cfg(feature = "compression")]
    pub(super) fn reply(
        &self,
        parts: &Parts,
        answer: &mut Response<()>,
        received: Received,
    ) -> Reply {
        if self.encodings(parts).is_none() || received.left() == Some(0) {
            return Reply::Plain(Box::new(received));
        }
        match decode::Encoding::of(answer.headers()) {
            None => Reply::Plain(Box::new(received)),
            Some(encoding) => {
                exchange::forget_encoding(answer.headers_mut());
                Reply::Encoded(Box::new(decode::Decoder::new(encoding, received)))
            }
        }
    }

    #[cfg(not(feature = "compression"))]
    pub(super) fn reply(&self, _: &Parts, _: &mut Response<()>, received: Received) -> Reply {
        Reply::Plain(Box::new(received))
    }
}

/// How long consent is waited for where a request alone asks for it.
pub(super) const CONSENT: Duration = Duration::from_secs(1);

/// How long the rest of an answer that is followed elsewhere is waited for: a new connection takes little longer.
pub(super) const DRAIN: Duration = Duration::from_secs(1);
