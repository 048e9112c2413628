// SPDX-License-Identifier: GPL-2.0

//! The gates of a remote port and of its local port, and what holds a use of both.

use core::cell::Cell;

use super::{
    common::{
        check,
        check_eq,
        Ports, //
    },
    ext::kunit::suite,
    logic::{
        gate::{
            By,
            NotResumed,
            Resumed, //
        },
        holder::{
            Holder,
            NotBegun, //
        },
    },
};

/// Begins to hold a use of the ports.
fn begin<'a>(holder: &Holder<'a, Ports>, ports: &'a Ports) -> bool {
    match holder.begin(ports, || ()) {
        Ok(()) => true,
        Err(NotBegun::NotUnique) => false,
        Err(NotBegun::Refused(refused)) => {
            refused.leave();
            false
        }
    }
}

fn callbacks_come_when_the_association_has_ended() {
    for local_first in [false, true] {
        let (ports, holder) = (Ports::new(), Holder::default());
        check!(begin(&holder, &ports));
        if local_first {
            check!(ports.unregister_local() && ports.unregister_remote());
        } else {
            check!(ports.unregister_remote() && ports.unregister_local());
        }
        check_eq!(ports.deletes(), (0, 0));
        check!(!begin(&Holder::default(), &ports));
        check!(holder.ending(&ports));
        check_eq!(ports.deletes(), (0, 0));
        check!(holder.end(&ports));
        check_eq!(ports.deletes(), (1, 1));
        check!(!ports.unregister_remote() && !ports.unregister_local());
        check_eq!(ports.deletes(), (1, 1));
    }
}

fn callbacks_come_at_once_without_association() {
    let ports = Ports::new();
    for round in 1..=3 {
        check!(ports.unregister_remote());
        check_eq!(ports.deletes(), (round, round - 1));
        check!(ports.unregister_local());
        check_eq!(ports.deletes(), (round, round));
        check_eq!(ports.resume_local(By::AnotherLldd), Ok(Resumed::Anew));
        check_eq!(ports.resume_remote(), Ok(Resumed::Anew));
    }
    // The local port is deleted before.
    check!(ports.unregister_local());
    check!(ports.unregister_remote());
    check_eq!(ports.deletes(), (4, 4));
}

fn none_comes_for_a_port_that_is_registered_again() {
    let (ports, holder) = (Ports::new(), Holder::default());
    check!(begin(&holder, &ports));
    for _ in 0..3 {
        check!(ports.unregister_remote() && ports.unregister_local());
        check_eq!(
            ports.resume_local(By::AnotherLldd).err(),
            Some(NotResumed::InUse)
        );
        check_eq!(ports.resume_local(By::SameLldd), Ok(Resumed::Undeleted));
        check_eq!(ports.resume_remote(), Ok(Resumed::Undeleted));
    }
    check!(holder.ending(&ports) && holder.end(&ports));
    check_eq!(ports.deletes(), (0, 0));
    check!(ports.unregister_remote());
    check_eq!(ports.deletes(), (1, 0));
}

fn a_holder_holds_one_use() {
    let (ports, holder) = (Ports::new(), Holder::default());
    check!(!holder.ending(&ports));
    check!(!holder.end(&ports));
    check!(holder.take(&ports).is_none());
    let prepared = Cell::new(0);
    let prepare = || prepared.set(prepared.get() + 1);
    check!(holder.begin(&ports, prepare).is_ok());
    check!(matches!(
        holder.begin(&ports, prepare),
        Err(NotBegun::NotUnique)
    ));
    check_eq!(prepared.get(), 1);
    check!(holder.ending(&ports));
    // One ends it, and until then the next does not begin.
    check!(!holder.ending(&ports));
    check!(holder.take(&ports).is_none());
    check!(!begin(&holder, &ports));
    check!(holder.end(&ports));
    check!(!holder.end(&ports));
    check!(begin(&holder, &ports));
    let used = holder.take(&ports);
    check!(used
        .as_ref()
        .is_some_and(|used| core::ptr::eq(used.port(), &ports)));
    check!(ports.unregister_remote());
    check_eq!(ports.deletes(), (0, 0));
    if let Some(used) = used {
        used.leave();
    }
    check_eq!(ports.deletes(), (1, 0));
}

fn a_holder_gives_back_what_it_was_given() {
    let (ports, others, holder) = (Ports::new(), Ports::new(), Holder::default());
    check!(begin(&holder, &ports));
    check!(!holder.ending(&others) && holder.take(&others).is_none());
    check!(holder.ending(&ports) && !holder.end(&others));
    check!(others.unregister_remote() && ports.unregister_remote());
    check_eq!((others.deletes(), ports.deletes()), ((1, 0), (0, 0)));
    check!(holder.end(&ports));
    check_eq!(ports.deletes(), (1, 0));
}

fn a_refused_use_leaves_the_local_port() {
    let (ports, holder) = (Ports::new(), Holder::default());
    check!(ports.unregister_remote());
    let refused = holder.begin(&ports, || ());
    check!(ports.unregister_local());
    // Who was refused has not left yet.
    check_eq!(ports.deletes(), (1, 0));
    if let Err(NotBegun::Refused(refused)) = refused {
        refused.leave();
    }
    check_eq!(ports.deletes(), (1, 1));
    check!(!holder.ending(&ports));
}

suite!(fcgate_ports:
    callbacks_come_when_the_association_has_ended,
    callbacks_come_at_once_without_association,
    none_comes_for_a_port_that_is_registered_again,
    a_holder_holds_one_use,
    a_holder_gives_back_what_it_was_given,
    a_refused_use_leaves_the_local_port,
);
