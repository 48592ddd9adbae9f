//! A page of what is in a directory.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::super::body::Body;
use super::path::encode_name;
use super::tree::{Name, Opened};

/// How many names a page has at most.
const MOST: usize = 10_000;

/// The page of a directory at `path`, in the order of the names.
pub(super) fn page(
    directory: Opened,
    path: &str,
    hidden: bool,
    patience: Duration,
) -> io::Result<Response<Body>> {
    let (mut names, are_all) = directory.names(MOST, patience)?;
    names.retain(|Name { name, .. }| {
        // Nothing could be asked for by a name with a backslash.
        !name.contains(&b'\\') && (hidden || !name.starts_with(b"."))
    });
    names.sort();
    let mut html = String::from("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>");
    escape(path, &mut html);
    html.push_str("</title>\n<ul>\n");
    // The tree may begin here, and then this leads out of it, which is nobody's business but that of the handler there.
    if path != "/" {
        html.push_str("<li><a href=\"../\">../</a>\n");
    }
    for Name { name, is_directory } in &names {
        let slash = if *is_directory { "/" } else { "" };
        // With the dot a name with a colon is no scheme.
        html.push_str("<li><a href=\"./");
        encode_name(name, &mut html);
        html.push_str(slash);
        html.push_str("\">");
        escape(&String::from_utf8_lossy(name), &mut html);
        html.push_str(slash);
        html.push_str("</a>\n");
    }
    html.push_str("</ul>\n");
    if !are_all {
        let _ = writeln!(html, "<p>There is more than these {MOST}.");
    }
    let mut response = Response::new(Body::from(html));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    Ok(response)
}

/// Writes text so that it is nothing but text.
fn escape(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
}
