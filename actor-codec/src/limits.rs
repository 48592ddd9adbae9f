//! What a value from a peer may cost.

/// How much a value may cost its receiver, whatever its bytes claim.
///
/// A limit on the bytes of a message is not among these: bytes that are there have been paid for, and
/// whoever reads them off a connection bounds them. These bound what can be made of them.
///
/// ```
/// use actor_codec::{DecodeError, Limits, decode, encode};
///
/// let mut bytes = Vec::new();
/// encode(&vec![1u8, 2, 3], &mut bytes, 1024).unwrap();
///
/// let limits = Limits::new().with_items(2);
/// let refused = decode::<Vec<u8>>(&bytes, &limits);
/// assert_eq!(refused, Err(DecodeError::TooMany { limit: 2 }));
/// assert_eq!(decode::<Vec<u8>>(&bytes, &Limits::new()), Ok(vec![1, 2, 3]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many structs, enums, tuples, sequences, maps, options and newtypes may be inside one another.
    /// Each takes stack while what is inside it is decoded. 64 unless set.
    pub depth: u16,
    /// How many elements all sequences and entries all maps of a value may have together. 1,048,576 unless set.
    pub items: usize,
    /// How many bytes of memory these elements, keys and values may take in themselves, which is what
    /// [`size_of`] says of their types. 64 MiB unless set.
    ///
    /// An enum with a variant of 1 KB takes 1 KB in a `Vec` whatever its variant is, but sends a byte for
    /// one without fields; so what is small as a message may be large as a value. What an element owns
    /// beside itself is not counted: the text of a `String` has come as bytes, and what is behind a `Box`
    /// is made by its type.
    pub memory: usize,
}

impl Limits {
    /// The limits that hold unless others are set.
    ///
    /// ```
    /// use actor_codec::Limits;
    ///
    /// assert_eq!(Limits::new().depth, 64);
    /// assert_eq!(Limits::new(), Limits::default());
    /// ```
    pub const fn new() -> Limits {
        Limits {
            depth: 64,
            items: 1 << 20,
            memory: 64 << 20,
        }
    }

    /// Sets how deep a value may be nested.
    ///
    /// A decoding thread or tasklet needs stack for as many levels, whoever sends. How much is a matter of
    /// the type: in builds without optimization 0.5 to 1.25 KiB for each is usual, and 100 to 200 bytes
    /// in others. What has large values, such as arrays, inside itself without a `Box` takes some copies of
    /// these as well.
    ///
    /// ```
    /// use actor_codec::{DecodeError, Limits, decode};
    ///
    /// let limits = Limits::new().with_depth(1);
    /// assert_eq!(decode::<Option<u8>>(&[1, 7], &limits), Ok(Some(7)));
    /// let refused = decode::<Option<Option<u8>>>(&[1, 1, 7], &limits);
    /// assert_eq!(refused, Err(DecodeError::TooDeep { limit: 1 }));
    /// ```
    #[must_use]
    pub const fn with_depth(mut self, levels: u16) -> Limits {
        self.depth = levels;
        self
    }

    /// Sets how many elements a value may have in all its sequences and maps.
    ///
    /// ```
    /// use actor_codec::{DecodeError, Limits, decode};
    ///
    /// let limits = Limits::new().with_items(3);
    /// let refused = decode::<Vec<Vec<u8>>>(&[2, 1, 7, 1, 8], &limits);
    /// assert_eq!(refused, Err(DecodeError::TooMany { limit: 3 }));
    /// ```
    #[must_use]
    pub const fn with_items(mut self, items: usize) -> Limits {
        self.items = items;
        self
    }

    /// Sets how many bytes of memory these elements may take in themselves.
    ///
    /// ```
    /// use actor_codec::{DecodeError, Limits, decode};
    ///
    /// let limits = Limits::new().with_memory(15);
    /// let refused = decode::<Vec<u64>>(&[2, 7, 8], &limits);
    /// assert_eq!(refused, Err(DecodeError::TooLarge { limit: 15 }));
    /// ```
    #[must_use]
    pub const fn with_memory(mut self, bytes: usize) -> Limits {
        self.memory = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::new()
    }
}
