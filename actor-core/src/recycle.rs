//! Memory of messages that have been handled, kept for new ones.
//!
//! A message lives for microseconds, and there are millions a second. The allocator is fast for a few
//! blocks at a time, but a broadcast takes a hundred before it gives one back, and then it goes the
//! long way. So each thread keeps the blocks that it frees, the last first, which is also the one that
//! is still in its cache.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;

/// The sizes of the blocks that are kept; others go to the allocator.
const SIZES: [usize; 2] = [64, 128];
/// How all of them are aligned.
const ALIGN: usize = 16;
/// How many of each size a thread keeps: 192 KiB in all.
const KEPT: usize = 1_024;

/// A thread's free blocks, by size.
struct Kept {
    free: [Vec<NonNull<u8>>; SIZES.len()],
}

thread_local! {
    static FREE: RefCell<Kept> = const { RefCell::new(Kept { free: [Vec::new(), Vec::new()] }) };
}

/// Which of `SIZES` holds a `T`.
const fn class_of<T>() -> Option<usize> {
    let layout = Layout::new::<T>();
    if layout.align() > ALIGN {
        return None;
    }
    let mut class = 0;
    while class < SIZES.len() {
        if layout.size() <= SIZES[class] {
            return Some(class);
        }
        class += 1;
    }
    None
}

/// The layout that a block for a `T` is allocated with.
const fn block_layout<T>() -> Layout {
    match class_of::<T>() {
        Some(class) => layout_of(class),
        None => Layout::new::<T>(),
    }
}

const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align(SIZES[class], ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("the sizes are small and the alignment is a power of two"),
    }
}

/// Puts `value` into a block of its own, to be given back with [`free`]. `T` must not be empty.
pub(crate) fn allocate<T>(value: T) -> NonNull<T> {
    const { assert!(size_of::<T>() > 0) };
    let kept = const { class_of::<T>() }.and_then(|class| {
        FREE.try_with(|kept| kept.borrow_mut().free[class].pop())
            .ok()
            .flatten()
    });
    let block = kept.unwrap_or_else(|| {
        let layout = const { block_layout::<T>() };
        // SAFETY: the size is not zero: neither that of a `T`, nor those of the classes.
        NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
    });
    let block = block.cast::<T>();
    // SAFETY: the block is as large and as aligned as a `T` needs, and nobody else's.
    unsafe { block.write(value) };
    block
}

/// Drops the value in a block, and takes the block back.
///
/// # Safety
///
/// `block` came from [`allocate`] for the same `T`, is the caller's alone and is not used again.
pub(crate) unsafe fn free<T>(block: NonNull<T>) {
    /// Takes the block back also if dropping the value panics.
    struct Block<T>(NonNull<T>);
    impl<T> Drop for Block<T> {
        fn drop(&mut self) {
            let block = self.0.cast::<u8>();
            let kept = const { class_of::<T>() }.is_some_and(|class| {
                let keep = |kept: &RefCell<Kept>| {
                    let free = &mut kept.borrow_mut().free[class];
                    let room = free.len() < KEPT;
                    if room {
                        free.push(block);
                    }
                    room
                };
                FREE.try_with(keep).unwrap_or(false)
            });
            if !kept {
                // SAFETY: allocated with this layout, and not used again.
                unsafe { dealloc(block.as_ptr(), const { block_layout::<T>() }) };
            }
        }
    }
    let block = Block(block);
    // SAFETY: a valid `T` that is the caller's alone, and is not used again. The borrow of the free
    // blocks does not last: what this runs may send messages itself.
    unsafe { block.0.drop_in_place() };
}

/// Takes the value out of a block, and the block back.
///
/// # Safety
///
/// As for [`free`].
pub(crate) unsafe fn take<T>(block: NonNull<T>) -> T {
    // SAFETY: a valid `T` that is the caller's alone. What is left is not dropped.
    let value = unsafe { block.read() };
    // SAFETY: the same block, as one whose value needs no drop.
    unsafe { free(block.cast::<std::mem::ManuallyDrop<T>>()) };
    value
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (class, blocks) in self.free.iter_mut().enumerate() {
            for block in blocks.drain(..) {
                // SAFETY: kept blocks were allocated with their class's layout, and are nobody's.
                unsafe { dealloc(block.as_ptr(), layout_of(class)) };
            }
        }
    }
}
