// SPDX-License-Identifier: GPL-2.0

//! The kernel's intrusive, circular, doubly linked list where C and Rust both change it.
//!
//! The kernel crate's `interop::list::CList` is for lists that nobody changes. Task management
//! takes entries out of lists of the core and hands over lists of its own, so it needs more.

use core::{
    marker::PhantomData,
    ptr, //
};

use kernel::{
    interop::list::CListHead,
    prelude::*, //
};

use super::{
    bindings,
    object::CObject, //
};

/// A list head (`struct list_head`) whose entries are of type `T`.
///
/// # Invariants
///
/// - The head is initialised. Every entry is a `T` linked through the `list_head` at byte `OFFSET`
///   of it.
/// - While a reference to the list is in use, nobody but its holder changes the list: either the
///   lock that protects it is held, or the list is the holder's own.
#[pin_data]
#[repr(transparent)]
pub struct List<T, const OFFSET: usize> {
    #[pin]
    head: CListHead,
    entries: PhantomData<T>,
}

impl<T, const OFFSET: usize> CObject for List<T, OFFSET> {
    type C = bindings::list_head;

    fn as_raw(&self) -> *mut bindings::list_head {
        self.head.as_raw()
    }
}

impl<T, const OFFSET: usize> List<T, OFFSET> {
    /// Makes an empty list (C: `LIST_HEAD()`).
    pub fn new() -> impl PinInit<Self> {
        // INVARIANT: `CListHead::new()` initialises the head, and there are no entries.
        pin_init!(Self {
            head <- CListHead::new(),
            entries: PhantomData,
        })
    }

    /// Goes through the entries (C: `list_for_each_entry_safe()`).
    ///
    /// The entry that the iterator gave last may be taken off the list or moved to another one;
    /// the others must stay until the iterator has passed them.
    pub fn iter(&self) -> Iter<'_, T, OFFSET> {
        Iter {
            head: &self.head,
            next: self.head.next(),
            entries: PhantomData,
        }
    }

    /// Moves `entry` from the list it is on, if any, to the end of this one.
    ///
    /// The caller must be allowed to change both lists.
    pub fn take_over(&self, entry: &T) {
        // SAFETY: `entry` is linked through `OFFSET`, its link is initialised because it is on a
        // list or was removed by `remove()`, and by the type invariant and the rule above nobody
        // else changes the two lists now.
        unsafe { bindings::list_move_tail(Self::link(entry), self.as_raw()) }
    }

    /// Takes `entry`, which is on this list, off it.
    pub fn remove(&self, entry: &T) {
        // SAFETY: As in `take_over()`.
        unsafe { bindings::list_del_init(Self::link(entry)) }
    }

    /// The last entry.
    ///
    /// Found through the head, not through the entries.
    pub fn last(&self) -> Option<&T> {
        let head = self.as_raw();
        // SAFETY: By the type invariant the head is initialised and nobody else changes the list.
        let last = unsafe { (*head).prev };
        // SAFETY: What is linked and is not the head lies at `OFFSET` of a `T`, which is not freed
        // as long as it is on the list and the list is ours.
        (last != head).then(|| unsafe { &*last.byte_sub(OFFSET).cast::<T>() })
    }

    /// Takes the last entry off the list and leaves the entry's own links as they are.
    ///
    /// Somebody else may link the entry into another list at the same time, which writes those links
    /// and does not care for what they were.
    pub fn cut_last(&self) {
        let head = self.as_raw();
        // SAFETY: By the type invariant the head is initialised and nobody else changes the list.
        // From the head on, each `next` but that of the last entry, which is not followed, leads to
        // the next entry.
        unsafe {
            let last = (*head).prev;
            if last == head {
                return;
            }
            let mut before = head;
            while (*before).next != last {
                before = (*before).next;
            }
            (*before).next = head;
            (*head).prev = before;
        }
    }

    fn link(entry: &T) -> *mut bindings::list_head {
        ptr::from_ref(entry)
            .cast_mut()
            .wrapping_byte_add(OFFSET)
            .cast()
    }
}

/// Iterator over the entries of a [`List`].
pub struct Iter<'a, T, const OFFSET: usize> {
    head: &'a CListHead,
    next: &'a CListHead,
    entries: PhantomData<&'a T>,
}

impl<'a, T, const OFFSET: usize> Iterator for Iter<'a, T, OFFSET> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        let link = self.next;
        if link == self.head {
            return None;
        }
        // Read before the entry is given away: the caller may unlink it.
        self.next = link.next();
        // SAFETY: `link` is not the head, so by the type invariant of `List` it lies at `OFFSET`
        // of a `T`, which is not freed as long as it is on the list and the list is ours.
        Some(unsafe { &*link.as_raw().byte_sub(OFFSET).cast::<T>() })
    }
}
