//! A parser that calls back, used as an iterator. Try it: `cargo run --release --example iterparse`,
//! or with a file of yours: `... --example iterparse -- library.xml`.
//!
//! The parser keeps its place on a stack of its own, so the loop that takes its elements is an ordinary
//! `for`. Without a file the program makes a music library of 5.4 megabytes, and prints:
//!
//! ```text
//! 220523 elements
//! ```

mod library;

use std::env;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use concurrence::{BoxError, Generator, Yielder, dispatch};

use library::{ELEMENTS, Element, Handler};

/// A handler that gives each start of an element to an iterator.
struct Starts<'a>(&'a Yielder<Element>);

impl Handler for Starts<'_> {
    fn start_element(&mut self, element: Element) {
        self.0.give(element);
    }
}

/// The elements of a file; the last item is an error if it cannot be read to the end.
fn iterparse(path: &Path) -> impl Iterator<Item = Result<Element, BoxError>> + use<> {
    let path = path.to_owned();
    Generator::fallible(move |out| {
        let file = BufReader::new(File::open(path)?);
        library::parse(file, &mut Starts(out))
    })
    // A start takes the parser less than a microsecond, so a switch of stacks for each would show.
    .ahead(4)
}

fn count(path: &Path) -> Result<usize, BoxError> {
    let mut count = 0;
    for element in iterparse(path) {
        element.map_err(|error| format!("{}: {error}", path.display()))?;
        count += 1;
    }
    Ok(count)
}

fn main() -> ExitCode {
    dispatch(|| -> Result<(), BoxError> {
        let count = match env::args_os().nth(1) {
            Some(path) => count(Path::new(&path))?,
            None => count(&Made::new()?.path)?,
        };
        println!("{count} elements");
        Ok(())
    })
}

/// A file that lasts as long as this.
struct Made {
    path: PathBuf,
}

impl Made {
    fn new() -> Result<Made, BoxError> {
        let name = format!("iterparse-{}.xml", std::process::id());
        let made = Made {
            path: env::temp_dir().join(name),
        };
        let mut file = BufWriter::new(File::create_new(&made.path)?);
        library::write(ELEMENTS, &mut file)?;
        file.flush()?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Then it stays behind among the temporary files.
        let _ = std::fs::remove_file(&self.path);
    }
}
