//! HTTP: the pages that are asked for, the servers that have them, the tools that ask.

pub(crate) mod ab;
pub(crate) mod servers;
pub(crate) mod wrk;

use crate::harness::Result;
use crate::tools;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A page, which all servers send in the same number of bytes.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    /// What the server calls itself. Where one cannot help it, the others follow.
    pub(crate) server: &'static str,
    pub(crate) body: &'static str,
}

/// may_minihttp always says who it is, by one letter.
const SERVER: &str = "M";

pub(crate) const PLAINTEXT: Page = Page {
    path: "/plaintext",
    content_type: "text/plain; charset=utf-8",
    server: SERVER,
    body: "Hello, World!",
};

/// Encoded anew for every answer.
pub(crate) const JSON: Page = Page {
    path: "/json",
    content_type: "application/json",
    server: SERVER,
    body: r#"{"message":"Hello, World!"}"#,
};

/// 40 bytes.
pub(crate) const SMALL: Page = Page {
    path: "/page",
    content_type: "text/html",
    server: "nginx",
    body: "<!DOCTYPE html><title>a</title><p>page\r\n",
};

/// The length of every date.
const DATE: usize = "Sat, 21 Nov 2026 12:00:00 GMT".len();

impl Page {
    /// The bytes of an answer, with its head.
    pub(crate) fn size(&self, keep_alive: bool) -> usize {
        let line = |name: &str, length: usize| name.len() + ": \r\n".len() + length;
        "HTTP/1.1 200 OK\r\n\r\n".len()
            + line("server", self.server.len())
            + line("date", DATE)
            + line("content-type", self.content_type.len())
            + line("content-length", self.body.len().to_string().len())
            + match keep_alive {
                true => 0,
                false => line("connection", "close".len()),
            }
            + self.body.len()
    }

    pub(crate) fn url(&self, address: SocketAddr) -> String {
        format!("http://{address}{}", self.path)
    }

    /// Asks for it several times, so that the server is warm then as well.
    pub(crate) fn check(&self, address: SocketAddr, keep_alive: bool) -> Result<()> {
        let mut connection = tools::reach(address)?;
        for _ in 0..CHECKS {
            self.ask(&connection, keep_alive)?;
            if !keep_alive {
                if connection.read(&mut [0])? != 0 {
                    return Err("more has come than the page".into());
                }
                connection = tools::reach(address)?;
            }
        }
        Ok(())
    }

    /// Asks for it, and compares the answer with what all sides are to send.
    pub(crate) fn ask(&self, mut connection: &TcpStream, keep_alive: bool) -> Result<()> {
        let path = self.path;
        let version = if keep_alive { "1.1" } else { "1.0" };
        let request = format!("GET {path} HTTP/{version}\r\nHost: localhost\r\n\r\n");
        connection.write_all(request.as_bytes())?;

        let mut answer = BufReader::new(connection);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if answer.read_until(b'\n', &mut head)? == 0 {
                return Err("the server has closed the connection".into());
            }
        }
        let head = String::from_utf8(head)?;
        let mut body = vec![0; self.body.len()];
        answer.read_exact(&mut body)?;
        if !self.has_head(&head, keep_alive)
            || body != self.body.as_bytes()
            || !answer.buffer().is_empty()
        {
            let body = String::from_utf8_lossy(&body);
            return Err(format!("not the answer that all are to give: {head}{body}").into());
        }
        Ok(())
    }

    /// Whether these are the headers of all, in whatever order and case.
    fn has_head(&self, head: &str, keep_alive: bool) -> bool {
        let head = head.to_ascii_lowercase();
        let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
        lines[1..].sort_unstable();
        let date = lines.iter().find(|line| line.starts_with("date: "));
        let mut expected = vec![
            "http/1.1 200 ok".to_owned(),
            format!("content-length: {}", self.body.len()),
            format!("content-type: {}", self.content_type),
            date.map_or("no date", |date| date).to_owned(),
            format!("server: {}", self.server.to_ascii_lowercase()),
        ];
        if !keep_alive {
            expected.insert(1, "connection: close".to_owned());
        }
        lines == expected && head.len() + self.body.len() == self.size(keep_alive)
    }
}

/// How often a page is asked for before the load.
const CHECKS: usize = 100;
