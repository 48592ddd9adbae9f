//! What a branch has done, on its disk.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use concurrence::fs::{self, File, OpenOptions};
use serde::{Deserialize, Serialize};

/// One step: it has happened as a whole, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// Money has come in.
    Deposit {
        id: u64,
        account: String,
        amount: u32,
    },
    /// Money has gone from one account of the branch to another.
    Inside {
        id: u64,
        account: String,
        amount: u32,
        to: String,
    },
    /// Money has gone out, and is to be sent to another branch.
    Intent {
        id: u64,
        account: String,
        amount: u32,
        to: String,
        branch: String,
    },
    /// The other branch has it.
    Arrived { id: u64 },
    /// Money has come from another branch, for the `number`th time.
    Remittance {
        from: String,
        number: u64,
        account: String,
        amount: u32,
    },
}

/// A file of lines, each with a checksum.
pub(crate) struct Journal {
    file: File,
}

impl Journal {
    /// Opens the journal in `directory`, or begins one, and gives what is in it to `each`. What is half written at its
    /// end is taken away.
    pub(crate) fn open(directory: &Path, mut each: impl FnMut(Entry)) -> io::Result<Journal> {
        fs::create_dir_all(directory)?;
        let path = directory.join("journal");
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(path)?;
        // Two branches with one journal would each believe the other's money theirs.
        file.try_lock().map_err(io::Error::from)?;
        let (mut good, mut bad) = (0, None);
        for (number, line) in lines(&mut file).enumerate() {
            let line = line?;
            match (decode(&line), bad) {
                (Some(entry), None) => {
                    good += line.len() as u64;
                    each(entry);
                }
                (None, None) => bad = Some(number + 1),
                // A crash tears the last line alone: if there is another behind it, it was something else.
                (_, Some(number)) => {
                    let text = format!("the journal is damaged at line {number}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
            }
        }
        if let Some(line) = bad {
            tracing::warn!(line, "half an entry is taken away");
            file.set_len(good)?;
        }
        file.sync_all()?;
        File::open(directory)?.sync_all()?; // that there is such a file is to last as well
        Ok(Journal { file })
    }

    /// Returns when the entry is on the disk. If it fails, nobody knows whether it is there.
    pub(crate) fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let text = serde_json::to_string(entry)?;
        let line = format!("{:016x} {text}\n", checksum(&text));
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()
    }
}

/// With their ends.
fn lines(file: &mut impl Read) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    let mut reader = BufReader::new(file);
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line);
        (!matches!(read, Ok(0))).then(|| read.map(|_| line))
    })
}

fn decode(line: &[u8]) -> Option<Entry> {
    let line = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, text) = line.split_once(' ')?;
    let is_whole = u64::from_str_radix(sum, 16).ok()? == checksum(text);
    serde_json::from_str(text).ok().filter(|_| is_whole)
}

/// FNV-1a: enough to tell half a line from a whole one.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
