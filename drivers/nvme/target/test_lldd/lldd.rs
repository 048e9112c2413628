// SPDX-License-Identifier: GPL-2.0

//! What the orders do, and what there is.

use kernel::{
    fmt,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

use crate::{
    exchange::Exchange,
    ext::{
        debugfs::{
            Show,
            Take, //
        },
        global::global_mutex, //
    },
    link_service::LinkService,
    order::{
        self,
        Order, //
    },
    port::Port,
    stall,
    wire, //
};

global_mutex! {
    /// All commands since they were forgotten.
    static EXCHANGES: KVec<Arc<Exchange>> = KVec::new();
}

global_mutex! {
    /// All link services since they were forgotten.
    static LINK_SERVICES: KVec<Arc<LinkService>> = KVec::new();
}

/// Whether nothing is held any more.
static FLOWS: Atomic<bool> = Atomic::new(false);

/// Whether nothing is done when the transport aborts an exchange.
static SILENT: Atomic<bool> = Atomic::new(false);

/// The most commands that one order may hand over.
const MOST: u32 = 100_000;

/// The longest content of a link service.
const LONGEST: usize = 65_536;

/// Whether nothing is held any more.
pub(crate) fn flows() -> bool {
    FLOWS.load(Relaxed)
}

/// Whether nothing is done when the transport aborts an exchange.
pub(crate) fn is_silent() -> bool {
    SILENT.load(Relaxed)
}

/// Completes what is due, and sees to it that the rest is when it is.
pub(crate) fn deliver() {
    /// How soon it is tried again if there is no memory to remember what is due.
    const AGAIN_MS: u32 = 10;

    let mut due = KVec::new();
    let mut next: Option<u32> = None;
    for exchange in EXCHANGES.lock().iter() {
        let wait = match exchange.wait() {
            None => continue,
            Some(0) if due.push(exchange.clone(), GFP_KERNEL).is_ok() => continue,
            Some(0) => AGAIN_MS,
            Some(wait) => wait,
        };
        next = Some(next.map_or(wait, |next| next.min(wait)));
    }
    for exchange in due {
        // Unless an order has done so.
        let _ = exchange.complete(true, 0);
    }
    if let Some(next) = next {
        wire::kick(next);
    }
}

fn find(id: u32) -> Result<Arc<Exchange>> {
    let exchanges = EXCHANGES.lock();
    let found = exchanges.iter().rev().find(|exchange| exchange.id() == id);
    found.cloned().ok_or(ENOENT)
}

/// All commands as they are now.
fn snapshot() -> Result<KVec<Arc<Exchange>>> {
    let exchanges = EXCHANGES.lock();
    let mut all = KVec::with_capacity(exchanges.len(), GFP_KERNEL)?;
    for exchange in exchanges.iter() {
        all.push(exchange.clone(), GFP_KERNEL)?;
    }
    Ok(all)
}

/// Nothing is held any more, of what is there and of what comes.
pub(crate) fn flow() {
    SILENT.store(false, Relaxed);
    FLOWS.store(true, Relaxed);
    for exchange in EXCHANGES.lock().iter() {
        exchange.flow();
    }
}

/// Hands over the commands of an order. The error is that of the last one that was not accepted.
fn receive(order: &order::Command<'_>) -> Result {
    if order.count == 0 || order.count > MOST {
        return Err(EINVAL);
    }
    let port = Port::get()?;
    let mut result = Ok(());
    for number in 0..order.count {
        let exchange = Exchange::new(order, number)?;
        EXCHANGES.lock().push(exchange.clone(), GFP_KERNEL)?;
        if let Err(error) = Exchange::receive(&exchange, &port, order.bad) {
            result = Err(error);
        }
    }
    result
}

fn request(order: &order::LinkService<'_>) -> Result {
    let port = Port::get()?;
    let length = order
        .length
        .map_or(order.data.len(), |length| length as usize);
    if length > LONGEST || order.data.len() > LONGEST {
        return Err(EINVAL);
    }
    let mut content = KVec::from_elem(0, length, GFP_KERNEL)?;
    for (to, from) in content.iter_mut().zip(order.data.bytes()) {
        *to = from;
    }
    let service = LinkService::new(order.id)?;
    LINK_SERVICES.lock().push(service.clone(), GFP_KERNEL)?;
    LinkService::receive(&service, &port, &mut content)
}

/// Forgets all commands and link services. `EBUSY`: the transport has some, or may have.
fn clear() -> Result {
    let (made, deleted) = Port::counts();
    if made != deleted || totals().out != 0 {
        return Err(EBUSY);
    }
    forget();
    Ok(())
}

/// Forgets all commands and link services.
pub(crate) fn forget() {
    let exchanges = core::mem::take(&mut *EXCHANGES.lock());
    drop(exchanges);
    let services = core::mem::take(&mut *LINK_SERVICES.lock());
    drop(services);
    FLOWS.store(false, Relaxed);
    SILENT.store(false, Relaxed);
}

/// Waits until all ports that were registered are deleted, and says so if that takes long. Without
/// end: until then the transport calls functions of this module.
pub(crate) fn wait_until_deleted() {
    const STEP_MS: i64 = 10;
    /// A minute.
    const LONG: u32 = 6_000;

    let mut steps: u32 = 0;
    loop {
        let (made, deleted) = Port::counts();
        if made == deleted {
            return;
        }
        steps = steps.saturating_add(1);
        if steps == LONG {
            pr_err!("the transport does not delete a target port\n");
        }
        fsleep(Delta::from_millis(STEP_MS));
    }
}

/// Numbers of commands and link services.
#[derive(Default)]
pub(crate) struct Totals {
    commands: usize,
    /// Those that the transport has.
    pub(crate) out: usize,
    /// Those that the transport waits for.
    asked: usize,
    services: usize,
    services_out: usize,
    faults: u32,
}

/// How many there are.
pub(crate) fn totals() -> Totals {
    let mut totals = Totals::default();
    for exchange in EXCHANGES.lock().iter() {
        totals.commands += 1;
        totals.out += usize::from(exchange.is_out());
        totals.asked += usize::from(exchange.is_asked());
        totals.faults += exchange.faults();
    }
    for service in LINK_SERVICES.lock().iter() {
        totals.services += 1;
        totals.services_out += usize::from(service.is_out());
        totals.faults += service.faults();
    }
    totals
}

/// The file `orders`.
pub(crate) struct Orders;

impl Take for Orders {
    const MOST: usize = 65_536;

    fn take(&self, text: &[u8]) -> Result {
        match Order::parse(text)? {
            Order::Register(order) => Port::register(&order),
            Order::Unregister => Port::unregister(),
            Order::LinkService(order) => request(&order),
            Order::Command(order) => receive(&order),
            Order::Complete(id, error) => find(id)?.complete(false, error),
            Order::CompleteAll => {
                for exchange in snapshot()? {
                    // Those that have nothing to complete.
                    let _ = exchange.complete(false, 0);
                }
                Ok(())
            }
            Order::Abort(id) => {
                let port = Port::get()?;
                find(id)?.abort(&port);
                Ok(())
            }
            Order::Flow => {
                flow();
                Ok(())
            }
            Order::Silent(silent) => {
                SILENT.store(silent, Relaxed);
                Ok(())
            }
            Order::Stall(msecs) => stall::set(msecs),
            Order::Clear => clear(),
        }
    }
}

/// The file `commands`.
pub(crate) struct Commands;

impl Show for Commands {
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for exchange in EXCHANGES.lock().iter() {
            exchange.show(out)?;
        }
        Ok(())
    }
}

/// The file `link_services`.
pub(crate) struct LinkServices;

impl Show for LinkServices {
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for service in LINK_SERVICES.lock().iter() {
            service.show(out)?;
        }
        Ok(())
    }
}

/// The file `state`.
pub(crate) struct State;

impl Show for State {
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals {
            commands,
            out: taken,
            asked,
            services,
            services_out,
            faults,
        } = totals();
        let (made, deleted) = Port::counts();
        writeln!(out, "ports {made}")?;
        writeln!(out, "ports_deleted {deleted}")?;
        writeln!(out, "commands {commands}")?;
        writeln!(out, "commands_out {taken}")?;
        writeln!(out, "operations_out {asked}")?;
        writeln!(out, "link_services {services}")?;
        writeln!(out, "link_services_out {services_out}")?;
        writeln!(out, "faults {faults}")?;
        writeln!(out, "stalls {}", stall::hits())
    }
}
