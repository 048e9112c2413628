// SPDX-License-Identifier: GPL-2.0

//! Two threads of the kernel at once: KUnit's own is an LLDD that unregisters its ports and
//! registers them again, and a workqueue's is a controller that creates associations and deletes
//! them.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc,
        ArcBorrow, //
    },
    time::{
        delay::fsleep,
        msecs_to_jiffies,
        Delta, //
    },
};

use super::{
    common::{
        check,
        check_eq,
        Ports, //
    },
    ext::{
        completion::Completion,
        kunit::suite,
        work::{
            Work,
            WorkItem, //
        },
    },
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

/// Times that the ports are unregistered.
const ROUNDS: i32 = 30_000;

/// Between two looks whether the controller is under way.
const PAUSE_US: i64 = 50;

/// How long the controller is waited for in the end.
const LOST_MS: u32 = 60_000;

#[pin_data]
struct Controller {
    ports: Ports,
    /// The LLDD is done.
    over: Atomic<bool>,
    associations: Atomic<i32>,
    refused: Atomic<i32>,
    #[pin]
    finished: Completion,
}

impl WorkItem for Controller {
    fn run(this: ArcBorrow<'_, Self>) {
        let association = Holder::default();
        while !this.over.load(Acquire) {
            this.associate(&association);
        }
        this.finished.complete_all();
    }
}

impl Controller {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                ports: Ports::new(),
                over: Atomic::new(false),
                associations: Atomic::new(0),
                refused: Atomic::new(0),
                finished <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Creates an association and deletes it.
    fn associate<'a>(&'a self, association: &Holder<'a, Ports>) {
        let ports = &self.ports;
        match association.begin(ports, || ()) {
            Ok(()) => {}
            Err(NotBegun::NotUnique) => {
                ports.local.faults.fetch_add(1, Relaxed);
                return;
            }
            Err(NotBegun::Refused(refused)) => {
                refused.leave();
                self.refused.fetch_add(1, Relaxed);
                return;
            }
        }
        ports.local.users.fetch_add(1, Full);
        self.associations.fetch_add(1, Relaxed);
        ports.local.users.fetch_sub(1, Full);
        if !association.ending(ports) || !association.end(ports) {
            ports.local.faults.fetch_add(1, Relaxed);
        }
    }
}

/// Registers again. `true`: the callback of the last time does not come any more.
fn resume(mut again: impl FnMut() -> Result<Resumed, NotResumed>) -> Option<bool> {
    loop {
        match again() {
            Ok(Resumed::Undeleted) => return Some(true),
            Ok(Resumed::Anew) => return Some(false),
            Err(NotResumed::Deleting) => core::hint::spin_loop(),
            Err(_) => return None,
        }
    }
}

/// Unregisters and registers the ports again and again: in which order, and whether the local port
/// too. Each time there is one callback, or none because the port was registered before it came.
fn race(both: bool, local_first: bool) {
    let Ok(controller) = Controller::new() else {
        check!(false);
        return;
    };
    let Ok(work) = Work::new(controller.clone()) else {
        check!(false);
        return;
    };
    work.queue(0);
    // So that both are under way.
    while controller.associations.load(Relaxed) == 0 {
        fsleep(Delta::from_micros(PAUSE_US));
    }
    let ports = &controller.ports;
    let (mut kept, mut kept_local, mut refused) = (0, 0, 0);
    for _ in 0..ROUNDS {
        if both && local_first {
            refused += i32::from(!ports.unregister_local());
        }
        // `localport_delete` is to come after the callback of this one.
        if !local_first {
            ports.local.remote_owed.store(1, Relaxed);
        }
        refused += i32::from(!ports.unregister_remote());
        if both && !local_first {
            refused += i32::from(!ports.unregister_local());
        }
        if both {
            match resume(|| ports.resume_local(By::SameLldd)) {
                Some(undeleted) => kept_local += i32::from(undeleted),
                None => refused += 1,
            }
        }
        match resume(|| ports.resume_remote()) {
            Some(undeleted) => kept += i32::from(undeleted),
            None => refused += 1,
        }
        ports.local.remote_owed.store(0, Relaxed);
    }
    controller.over.store(true, Release);
    let end = controller
        .finished
        .wait_killable_timeout(msecs_to_jiffies(LOST_MS));
    drop(work);
    check_eq!(end, Ok(()));
    check_eq!(refused, 0);
    check_eq!(ports.local.faults.load(Relaxed), 0);
    let local = if both { ROUNDS } else { 0 };
    check_eq!(ports.deletes(), (ROUNDS - kept, local - kept_local));
    pr_info!(
        "{ROUNDS} rounds, {kept} and {kept_local} without callback; {} associations, {} refused\n",
        controller.associations.load(Relaxed),
        controller.refused.load(Relaxed)
    );
    // There is nothing left of all that.
    check!(ports.unregister_remote() && ports.unregister_local());
    check_eq!(ports.deletes(), (ROUNDS - kept + 1, local - kept_local + 1));
}

fn a_remote_port_comes_and_goes() {
    race(false, false);
}

fn both_ports_come_and_go() {
    race(true, false);
}

fn both_ports_come_and_go_local_port_first() {
    race(true, true);
}

/// Who wants to end the same association: one does.
fn two_end_an_association() {
    let (ports, association) = (Ports::new(), Holder::default());
    for _ in 0..ROUNDS {
        check!(association.begin(&ports, || ()).is_ok());
        let ends = [association.ending(&ports), association.ending(&ports)];
        check_eq!(ends, [true, false]);
        check!(association.end(&ports));
    }
    check_eq!(ports.deletes(), (0, 0));
}

suite!(fcgate_race:
    a_remote_port_comes_and_goes,
    both_ports_come_and_go,
    both_ports_come_and_go_local_port_first,
    two_end_an_association,
);
