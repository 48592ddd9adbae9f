//! A music library in XML, and a parser for it that calls back.

#![allow(dead_code, reason = "each program takes what it needs")]

use std::borrow::Cow;
use std::io::{self, BufRead, Write};

use concurrence::BoxError;
use quick_xml::errors::IllFormedError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Error, Reader};

/// How many elements the library of the talk had.
pub(crate) const ELEMENTS: usize = 220_523;

/// The start of an element.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) tag: String,
    pub(crate) attributes: Vec<(String, String)>,
}

/// What a parser calls, after Python's `xml.sax.ContentHandler`.
pub(crate) trait Handler {
    fn start_element(&mut self, element: Element);

    fn characters(&mut self, text: &str) {
        let _ = text;
    }

    fn end_element(&mut self, tag: &str) {
        let _ = tag;
    }
}

/// Calls `handler` for whatever is in the document, from its beginning to its end.
///
/// The reader sees to it that tags match; that the document has an element, and has not been cut off
/// within it, is left to us.
pub(crate) fn parse(document: impl BufRead, handler: &mut impl Handler) -> Result<(), BoxError> {
    let mut reader = Reader::from_reader(document);
    let mut buffer = Vec::new();
    let (mut root, mut depth) = (None, 0_usize);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer)? {
            Event::Start(start) => {
                let element = element(&start)?;
                root.get_or_insert_with(|| element.tag.clone());
                depth += 1;
                handler.start_element(element);
            }
            Event::Empty(start) => {
                let element = element(&start)?;
                root.get_or_insert_with(|| element.tag.clone());
                let tag = element.tag.clone();
                handler.start_element(element);
                handler.end_element(&tag);
            }
            Event::Text(text) => handler.characters(&text.decode()?),
            Event::GeneralRef(reference) => {
                if let Some(character) = reference.resolve_char_ref()? {
                    handler.characters(character.encode_utf8(&mut [0; 4]));
                }
            }
            Event::End(end) => {
                depth -= 1;
                handler.end_element(&reader.decoder().decode(end.name().as_ref())?);
            }
            Event::Eof => {
                return match root {
                    None => Err("no element found".into()),
                    Some(root) if depth > 0 => {
                        Err(Error::IllFormed(IllFormedError::MissingEndTag(root)).into())
                    }
                    Some(_) => Ok(()),
                };
            }
            _ => {}
        }
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, Error> {
    let decoder = start.decoder();
    let owned = |text: Cow<'_, str>| text.into_owned();
    let tag = owned(decoder.decode(start.name().as_ref())?);
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        attributes.push((
            owned(decoder.decode(attribute.key.as_ref())?),
            owned(attribute.decode_and_unescape_value(decoder)?),
        ));
    }
    Ok(Element { tag, attributes })
}

/// Writes a library of so many elements, three at least; 5.4 megabytes for [`ELEMENTS`].
pub(crate) fn write(elements: usize, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<plist version=\"1.0\">\n<dict>")?;
    // The rest is keys with values, and one more where that does not add up.
    let rest = elements - 2;
    for n in 0..rest / 2 {
        let (key, value, text) = match n % 4 {
            0 => ("Track ID", "integer", n.to_string()),
            1 => ("Name", "string", format!("Song no. {n}")),
            2 => ("Artist", "string", "The Tasklets".to_owned()),
            _ => ("Date Added", "date", "2007-02-10T23:25:41Z".to_owned()),
        };
        writeln!(out, "\t<key>{key}</key><{value}>{text}</{value}>")?;
    }
    if rest % 2 == 1 {
        writeln!(out, "\t<true/>")?;
    }
    writeln!(out, "</dict>\n</plist>")
}
