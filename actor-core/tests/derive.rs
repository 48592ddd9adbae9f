//! What `#[derive(Message)]` makes of structs and enums.
//!
//! There is no crate called `concurrence` here, so each names where `Message` is.

use std::any::TypeId;
use std::fmt::Debug;

use actor_core::Message;

mod inner {
    pub(crate) use actor_core as framework;
}

#[derive(Message)]
#[message(crate = actor_core)]
struct Plain;

#[derive(Message)]
#[message(reply = Result<Vec<u8>, String>, crate = ::actor_core)]
struct Read {
    _path: String,
}

#[derive(Message)]
#[message(reply = (u8, &'static str))]
#[message(crate = crate::inner::framework)]
enum Request<T: Debug, const N: usize>
where
    T: Clone,
{
    _One(T),
    _Many { _items: [T; N] },
}

#[derive(Message)]
#[message(reply = Option<T>, crate = actor_core)]
struct Take<T = u8> {
    _items: Vec<T>,
}

/// A message whose parameter is bound by nothing but the derived implementation.
fn reply_of<T: Send + 'static>() -> TypeId {
    TypeId::of::<<Take<T> as Message>::Reply>()
}

#[test]
fn the_reply_is_unit_or_what_the_attribute_says() {
    fn reply<M: Message>() -> TypeId {
        TypeId::of::<M::Reply>()
    }
    assert_eq!(reply::<Plain>(), TypeId::of::<()>());
    assert_eq!(reply::<Read>(), TypeId::of::<Result<Vec<u8>, String>>());
    assert_eq!(
        reply::<Request<String, 3>>(),
        TypeId::of::<(u8, &'static str)>()
    );
    assert_eq!(reply::<Take>(), TypeId::of::<Option<u8>>());
    assert_eq!(reply_of::<String>(), TypeId::of::<Option<String>>());
}
