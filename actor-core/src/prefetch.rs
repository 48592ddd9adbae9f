//! Memory that is about to be needed, fetched into the cache while something else is done.

use std::ptr::NonNull;

/// How many bytes are fetched at a time.
const LINE: usize = 64;

/// Has so many lines of the cache fetched, from this address on. Any address will do: it is a hint.
#[inline(always)]
pub(crate) fn lines(address: usize, count: usize) {
    for line in 0..count {
        line_at(address.wrapping_add(line * LINE));
    }
}

/// Has all of an object fetched.
#[inline(always)]
pub(crate) fn object<T>(object: NonNull<T>) {
    lines(object.as_ptr().addr(), size_of::<T>().div_ceil(LINE));
}

#[inline(always)]
fn line_at(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which faults for no address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
