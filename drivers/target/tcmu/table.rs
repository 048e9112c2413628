// SPDX-License-Identifier: GPL-2.0

//! The logic's arrays in the kernel's memory.

use super::logic::{
    Array,
    Memory,
    NoMemory, //
};
use core::ops::{
    Deref,
    DerefMut, //
};
use kernel::{
    alloc::Allocator,
    page::PAGE_SIZE,
    prelude::*, //
};

/// The kernel's allocator, for the logic.
pub(crate) struct Kernel;

impl Memory for Kernel {
    type Array<T> = Table<T>;

    const PAGE_SIZE: usize = PAGE_SIZE;
}

/// An array in as little memory as its length needs.
pub(crate) enum Table<T> {
    /// Up to a page.
    Small(KVec<T>),
    /// More: whole pages, which need not be contiguous.
    Large(VVec<T>),
}

impl<T> Deref for Table<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Small(elements) => elements,
            Self::Large(elements) => elements,
        }
    }
}

impl<T> DerefMut for Table<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Small(elements) => elements,
            Self::Large(elements) => elements,
        }
    }
}

/// `old`, and after it elements from `fill`, in an array of just `len` elements.
///
/// `Vec::reserve()` would double the capacity.
fn extended<T, A: Allocator, B: Allocator>(
    old: &mut Vec<T, A>,
    len: usize,
    mut fill: impl FnMut() -> T,
) -> Result<Vec<T, B>, NoMemory> {
    let mut new = Vec::with_capacity(len, GFP_KERNEL).map_err(|_| NoMemory)?;
    let missing = len - old.len();
    for element in old.drain_all() {
        new.push_within_capacity(element).map_err(|_| NoMemory)?;
    }
    for _ in 0..missing {
        new.push_within_capacity(fill()).map_err(|_| NoMemory)?;
    }
    Ok(new)
}

impl<T> Array<T> for Table<T> {
    fn new() -> Self {
        Self::Small(KVec::new())
    }

    fn grow(&mut self, len: usize, fill: impl FnMut() -> T) -> Result<(), NoMemory> {
        if len <= self.len() {
            return Ok(());
        }
        let is_small = len * size_of::<T>() <= PAGE_SIZE;
        *self = match self {
            Self::Small(old) if is_small => Self::Small(extended(old, len, fill)?),
            Self::Small(old) => Self::Large(extended(old, len, fill)?),
            Self::Large(old) => Self::Large(extended(old, len, fill)?),
        };
        Ok(())
    }
}
