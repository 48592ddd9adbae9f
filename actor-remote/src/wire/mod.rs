//! What goes over a link, byte by byte.
//!
//! The bytes of a connection are [records](record), each of them sealed; a record's payload is whole
//! [frames](frame); and the body of a message's frame is what `actor-codec` makes of it. `docs/wire.md` has all of it in one
//! place.

pub mod frame;
pub mod record;
