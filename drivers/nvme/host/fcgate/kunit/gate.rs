// SPDX-License-Identifier: GPL-2.0

//! The gate of one port.

use core::cell::Cell;

use super::{
    common::{
        check,
        check_eq, //
    },
    ext::kunit::suite,
    logic::gate::{
        By,
        Closed,
        Gate,
        NotResumed,
        Resumed, //
    },
};

/// Uses of a port in these tests.
const USES: usize = 5;

fn the_last_use_owes_the_callback() {
    for uses in 0..=USES {
        let gate = Gate::new();
        let mut entered: [_; USES] = core::array::from_fn(|at| (at < uses).then(|| gate.enter()));
        let own = gate.unregister();
        check!(own.is_ok());
        check_eq!(gate.enter().err(), Some(Closed::NotRegistered));
        let mut owed = own.ok().and_then(|own| own.leave());
        check_eq!(owed.is_some(), uses == 0);
        for (at, entered) in entered.iter_mut().enumerate().take(uses) {
            check!(owed.is_none());
            owed = entered
                .take()
                .and_then(Result::ok)
                .and_then(|used| used.leave());
            check_eq!(owed.is_some(), at + 1 == uses);
        }
        let calls = Cell::new(0);
        if let Some(owed) = owed {
            // Until it has returned nobody can register the port again, and then anybody.
            owed.deliver(|_| {
                calls.set(calls.get() + 1);
                check_eq!(
                    gate.resume(By::SameLldd, || ()).err(),
                    Some(NotResumed::Deleting)
                );
            });
        }
        check_eq!(calls.get(), 1);
        check_eq!(gate.resume(By::AnotherLldd, || ()), Ok(Resumed::Anew));
    }
}

fn a_port_that_is_registered_again_owes_nothing() {
    let gate = Gate::new();
    for _ in 0..3 {
        let (Ok(used), Ok(own)) = (gate.enter(), gate.unregister()) else {
            check!(false);
            return;
        };
        check!(own.leave().is_none());
        let prepared = Cell::new(false);
        check_eq!(
            gate.resume(By::AnotherLldd, || prepared.set(true)).err(),
            Some(NotResumed::InUse)
        );
        check_eq!(
            gate.resume(By::SameLldd, || prepared.set(true)),
            Ok(Resumed::Undeleted)
        );
        check!(!prepared.get());
        check_eq!(
            gate.resume(By::SameLldd, || ()).err(),
            Some(NotResumed::Registered)
        );
        check!(used.leave().is_none());
    }
}

fn nobody_enters_while_it_is_prepared() {
    let gate = Gate::new();
    let owed = gate.unregister_unused();
    check!(owed.is_ok());
    if let Ok(Some(owed)) = owed {
        owed.deliver(|_| ());
    }
    let tried = Cell::new(0);
    let resumed = gate.resume(By::SameLldd, || {
        check_eq!(gate.enter().err(), Some(Closed::NotRegistered));
        check_eq!(
            gate.resume(By::SameLldd, || ()).err(),
            Some(NotResumed::Registered)
        );
        check!(gate.unregister().is_err());
        tried.set(1);
    });
    check_eq!(resumed, Ok(Resumed::Anew));
    check_eq!(tried.get(), 1);
    check!(gate.enter().is_ok());
}

fn is_unregistered_once() {
    let gate = Gate::new();
    let used = gate.enter();
    let own = gate.unregister();
    check!(used.is_ok() && own.is_ok());
    check_eq!(gate.unregister().err(), Some(Closed::NotRegistered));
    check_eq!(gate.unregister_unused().err(), Some(Closed::NotRegistered));
    check!(own.ok().and_then(|own| own.leave()).is_none());
    check!(used.ok().and_then(|used| used.leave()).is_some());
}

suite!(fcgate_gate:
    the_last_use_owes_the_callback,
    a_port_that_is_registered_again_owes_nothing,
    nobody_enters_while_it_is_prepared,
    is_unregistered_once,
);
