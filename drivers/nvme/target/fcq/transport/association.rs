// SPDX-License-Identifier: GPL-2.0

//! The association that a queue is made for.

use core::ptr::{
    self,
    NonNull, //
};

use kernel::sync::{
    atomic::{
        Atomic,
        Relaxed,
        Release, //
    },
    rcu, //
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

/// The part of a connection's number that is the number of its queue. The rest is the identifier of
/// the association.
const QUEUE: u64 = 0xffff;

/// What follows on a list that C changes as RCU has it.
///
/// # Safety
///
/// `link` is the head, or was on the list within the RCU section that this is called in.
unsafe fn next(link: *mut bindings::list_head) -> *mut bindings::list_head {
    // SAFETY: By the contract of this function the link is valid, and C changes it atomically.
    unsafe { Atomic::from_ptr(&raw mut (*link).next) }.load(Relaxed)
}

c_object! {
    /// An association (`struct nvmet_fc_tgt_assoc`).
    // SAFETY: C sets all before the association is on the list of its port, and makes queues after
    // that. The association gives up its reference to the port a grace period after it was taken
    // off the list; it does not make queues then.
    pub(crate) unsafe struct Association(nvmet_fc_tgt_assoc) {
        pub(super) fn port: Constant<&'a Port> = tgtport;
        fn a_id: Constant<u32> = a_id;
        fn association_id: Constant<u64> = association_id;
    }
}

impl Association {
    /// The number of the association among those of its port, for people.
    pub(super) fn number(&self) -> u32 {
        self.a_id().get()
    }

    /// The queue that a connection is of. It may have no references any more, but is not freed
    /// before the RCU section is over.
    ///
    /// C counterpart: `nvmet_fc_find_target_queue()`.
    pub(super) fn find_queue(
        port: &Port,
        connection: u64,
        _guard: &rcu::Guard,
    ) -> Option<NonNull<nvmet_fc_tgt_queue>> {
        let qid = (connection & QUEUE) as u16;
        if !Self::has_room_for(qid) {
            return None;
        }
        let head = port.associations().get();
        // SAFETY: The port is valid, and its list initialised.
        let mut link = unsafe { next(head) };
        while link != head {
            // SAFETY: What is on the list is an association. When C has taken one off, it waits for
            // a grace period before it frees it.
            let association =
                unsafe { Self::from_raw(kernel::container_of!(link, nvmet_fc_tgt_assoc, a_list)) };
            if association.association_id().get() == connection & !QUEUE {
                return NonNull::new(association.queue(qid)?.load(Relaxed));
            }
            // SAFETY: As above.
            link = unsafe { next(link) };
        }
        None
    }

    /// The queue with a number, or null.
    fn queue(&self, qid: u16) -> Option<&Atomic<*mut nvmet_fc_tgt_queue>> {
        if !Self::has_room_for(qid) {
            return None;
        }
        // SAFETY: The association is valid.
        let queues = unsafe { &raw mut (*self.as_raw()).queues };
        // SAFETY: The number is that of an entry, which C reads as a plain pointer.
        Some(unsafe { Atomic::from_ptr(&raw mut (*queues)[usize::from(qid)]) })
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
        // Release: who finds the queue sees what is in it.
        self.queue(qid)
            .is_some_and(|entry| entry.cmpxchg(ptr::null_mut(), queue, Release).is_ok())
    }
}
