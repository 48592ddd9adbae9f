//! What kind of content a file has, by the end of its name.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

/// What browsers act upon, and what is commonly put beside it.
const KNOWN: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("atom", "application/atom+xml"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonld", "application/ld+json"),
    ("m4a", "audio/mp4"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mid", "audio/midi"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rss", "application/rss+xml"),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("ts", "video/mp2t"),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xml", "application/xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// What is said of a file whose extension says nothing: that it is bytes.
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The types of some extensions, and those that everybody knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Types(Arc<HashMap<String, HeaderValue>>);

impl Types {
    pub(super) fn set(&mut self, extension: &str, content_type: HeaderValue) {
        let extension = extension.trim_start_matches('.').to_ascii_lowercase();
        Arc::make_mut(&mut self.0).insert(extension, content_type);
    }

    pub(super) fn of(&self, extension: Option<&str>) -> HeaderValue {
        let Some(extension) = extension.map(str::to_ascii_lowercase) else {
            return UNKNOWN;
        };
        if let Some(own) = self.0.get(&extension) {
            return own.clone();
        }
        match KNOWN.binary_search_by_key(&&extension[..], |(known, _)| known) {
            Ok(at) => HeaderValue::from_static(KNOWN[at].1),
            Err(_) => UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_known_is_found() {
        assert!(KNOWN.is_sorted_by(|a, b| a.0 < b.0));
        for (extension, content_type) in KNOWN {
            assert_eq!(Types::default().of(Some(extension)), content_type);
            assert!(HeaderValue::from_str(content_type).is_ok());
        }
        let mut types = Types::default();
        types.set(".Foo", HeaderValue::from_static("text/foo"));
        types.set("css", HeaderValue::from_static("text/mine"));
        for (extension, content_type) in [
            (Some("FOO"), "text/foo"),
            (Some("css"), "text/mine"),
            (Some("HTML"), "text/html; charset=utf-8"),
            (Some("unheard-of"), "application/octet-stream"),
            (Some(""), "application/octet-stream"),
            (None, "application/octet-stream"),
        ] {
            assert_eq!(types.of(extension), content_type);
        }
    }
}
