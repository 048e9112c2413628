// SPDX-License-Identifier: GPL-2.0

//! The kernel's intrusive, circular, doubly linked list where C and Rust both change it.
//!
//! The kernel crate's `interop::list::CList` is for lists that nobody changes. Here:
//!
//! - A list of C is reached through a [`ListGuard`] alone, which holds the lock of the list.
//! - A list of Rust, an [`OwnedList`], owns what is on it.

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    interop::list::CListHead,
    prelude::*, //
};

use super::bindings;

/// The structure that `link` is part of, at byte `OFFSET`.
fn entry_of<T, const OFFSET: usize>(link: *mut bindings::list_head) -> *mut T {
    link.wrapping_byte_sub(OFFSET).cast()
}

/// The links of a list, from the first to the last.
///
/// # Invariants
///
/// `head` is the head of an initialised list, and `next` is `head` or on that list. During `'g`
/// nobody changes the list, but that links which were given are taken off.
struct Links<'g> {
    head: *mut bindings::list_head,
    next: *mut bindings::list_head,
    list: PhantomData<&'g ()>,
}

impl Iterator for Links<'_> {
    type Item = *mut bindings::list_head;

    fn next(&mut self) -> Option<Self::Item> {
        let link = self.next;
        if link == self.head {
            return None;
        }
        // Read before the link is given: it may be taken off.
        // SAFETY: By the type invariant `link` is on the list. So is what follows it, as that has
        // not been given yet.
        self.next = unsafe { (*link).next };
        Some(link)
    }
}

/// A list of C that nobody else can use now.
///
/// `T` is the type of the entries, which are linked by the `list_head` at their byte `OFFSET`. `G`
/// is what keeps others away: the guard of the lock that protects the list, or `()` if the list is
/// the caller's own.
///
/// # Invariants
///
/// As long as `self` is there, `head` is the head of an initialised list that nobody else uses,
/// and what is on it is valid.
pub struct ListGuard<'a, T, const OFFSET: usize, G = ()> {
    head: NonNull<bindings::list_head>,
    _guard: G,
    entries: PhantomData<&'a T>,
}

impl<'a, T, const OFFSET: usize, G> ListGuard<'a, T, OFFSET, G> {
    /// Gives access to the list of `head`.
    ///
    /// # Safety
    ///
    /// As long as the result is there:
    ///
    /// - `head` is the initialised head of a list of `T`s, linked by the `list_head` at byte
    ///   `OFFSET`.
    /// - Nobody else uses the list, which `guard` may be the reason for.
    /// - The `T`s on the list are valid.
    pub unsafe fn new(head: NonNull<bindings::list_head>, guard: G) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            head,
            _guard: guard,
            entries: PhantomData,
        }
    }

    fn links(&self) -> Links<'_> {
        let head = self.head.as_ptr();
        // INVARIANT: By the type invariant of `self`, which is borrowed.
        Links {
            head,
            // SAFETY: By the type invariant `head` is initialised.
            next: unsafe { (*head).next },
            list: PhantomData,
        }
    }

    /// Goes through the list (C: `list_for_each_entry()`).
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        // SAFETY: By the type invariant the entries are `T`s that are valid.
        self.links()
            .map(|link| unsafe { &*entry_of::<T, OFFSET>(link) })
    }

    /// Goes through the list, whose entries can be taken off it (C: `list_for_each_entry_safe()`).
    pub fn entries(&mut self) -> impl Iterator<Item = Entry<'_, T, OFFSET>> {
        // INVARIANT: The list is exclusively ours, and each entry is given once.
        self.links().map(|link| Entry {
            link,
            entry: PhantomData,
        })
    }
}

/// An entry of a list of C, which can be taken off it.
///
/// # Invariants
///
/// `link` is that of a valid `T` and on a list that nobody else uses during `'g`. No other `Entry`
/// has the same link.
pub struct Entry<'g, T, const OFFSET: usize> {
    link: *mut bindings::list_head,
    entry: PhantomData<&'g T>,
}

impl<T, const OFFSET: usize> Entry<'_, T, OFFSET> {
    /// Takes the entry off the list (C: `list_del_init()`).
    pub fn remove(self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::list_del_init(self.link) };
    }
}

impl<T, const OFFSET: usize> Deref for Entry<'_, T, OFFSET> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant.
        unsafe { &*entry_of::<T, OFFSET>(self.link) }
    }
}

/// The owner of something that can be on a list.
///
/// # Safety
///
/// `into_raw()` returns a pointer to a valid structure with a `list_head` at byte `OFFSET`. Until
/// it comes back through `from_raw()`, the structure stays valid and nobody else uses that
/// `list_head`.
pub unsafe trait Linked: Sized {
    /// What is on the list.
    type Entry;
    /// Where its `list_head` is.
    const OFFSET: usize;

    /// Gives the ownership away.
    fn into_raw(self) -> NonNull<Self::Entry>;

    /// Takes the ownership back.
    ///
    /// # Safety
    ///
    /// `entry` must come from `into_raw()`, and may be given back only once.
    unsafe fn from_raw(entry: NonNull<Self::Entry>) -> Self;
}

/// A list that owns what is on it.
///
/// C may be given the list to read it.
///
/// # Invariants
///
/// What is on the list has come from [`Linked::into_raw()`] and is as many as `len` says.
#[pin_data(PinnedDrop)]
pub struct OwnedList<H: Linked> {
    #[pin]
    head: CListHead,
    len: usize,
    owners: PhantomData<H>,
}

impl<H: Linked> OwnedList<H> {
    /// Makes an empty list (C: `LIST_HEAD()`).
    pub fn new() -> impl PinInit<Self> {
        // INVARIANT: There are no entries.
        pin_init!(Self {
            head <- CListHead::new(),
            len: 0,
            owners: PhantomData,
        })
    }

    /// How many are on the list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is on the list.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The head of the list, for C functions that read the list.
    pub fn as_raw(&self) -> *mut bindings::list_head {
        self.head.as_raw()
    }

    /// Puts `owner` at the end of the list.
    pub fn push_back(self: Pin<&mut Self>, owner: H) {
        let this = self.project();
        let link = owner.into_raw().as_ptr().wrapping_byte_add(H::OFFSET);
        // SAFETY: By the contract of `Linked` nobody else uses the link, and by the type invariant
        // the list is ours.
        unsafe { bindings::list_add_tail(link.cast(), this.head.as_raw()) };
        // Each is somewhere in memory: they are fewer than there are addresses.
        *this.len = this.len.wrapping_add(1);
    }

    /// Takes the first off the list.
    pub fn pop_front(self: Pin<&mut Self>) -> Option<H> {
        let this = self.project();
        let first = this.head.next().as_raw();
        if first == this.head.as_raw() {
            return None;
        }
        // By the type invariant it is not 0.
        *this.len = this.len.wrapping_sub(1);
        let entry = first.wrapping_byte_sub(H::OFFSET).cast();
        // SAFETY: `first` is on this list, which is ours. By the type invariant it is part of what
        // `into_raw()` has given, which is not on the list any more.
        unsafe {
            bindings::list_del_init(first);
            Some(H::from_raw(NonNull::new_unchecked(entry)))
        }
    }
}

#[pinned_drop]
impl<H: Linked> PinnedDrop for OwnedList<H> {
    fn drop(mut self: Pin<&mut Self>) {
        while self.as_mut().pop_front().is_some() {}
    }
}
