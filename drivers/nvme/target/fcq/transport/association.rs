// SPDX-License-Identifier: GPL-2.0

//! The association that a queue is made for.

use core::ptr;

use kernel::sync::atomic::{
    Atomic,
    Release, //
};

use super::{
    port::Port,
    private::{
        nvmet_fc_tgt_assoc,
        nvmet_fc_tgt_queue, //
    },
};
use crate::{
    bindings,
    object::{
        c_object,
        CObject,
        Constant, //
    },
};

/// The highest number of a queue.
const HIGHEST: u16 = bindings::NVMET_NR_QUEUES as u16;

c_object! {
    /// An association (`struct nvmet_fc_tgt_assoc`).
    // SAFETY: C sets both before it makes the first queue. The association has a reference to the
    // port, until it is freed.
    pub(crate) unsafe struct Association(nvmet_fc_tgt_assoc) {
        pub(super) fn port: Constant<&'a Port> = tgtport;
        fn a_id: Constant<u32> = a_id;
    }
}

impl Association {
    /// The number of the association among those of its port, for people.
    pub(super) fn number(&self) -> u32 {
        self.a_id().get()
    }

    /// Whether a queue can have this number.
    pub(super) fn has_room_for(qid: u16) -> bool {
        qid <= HIGHEST
    }

    /// Makes `queue` the one with this number, unless there is one: the initiator may ask for a
    /// connection twice, even at the same time.
    ///
    /// # Safety
    ///
    /// `queue` is ready for use, and has a reference for the association.
    pub(super) unsafe fn add(&self, qid: u16, queue: *mut nvmet_fc_tgt_queue) -> bool {
        // SAFETY: The association is valid.
        let queues = unsafe { &raw mut (*self.as_raw()).queues };
        if !Self::has_room_for(qid) {
            return false;
        }
        // SAFETY: The number is that of an entry, which C reads as a plain pointer, and keeps what
        // the contract of this function says of it.
        let entry = unsafe { Atomic::from_ptr(&raw mut (*queues)[usize::from(qid)]) };
        // Release: who finds the queue sees what is in it.
        entry.cmpxchg(ptr::null_mut(), queue, Release).is_ok()
    }
}
