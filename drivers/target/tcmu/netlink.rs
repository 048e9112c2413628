// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family `TCM-USER`: daemons are told of devices and answer.
//!
//! A daemon that has announced replies (`TCMU_CMD_SET_FEATURES`) is waited for. Unlike C, that wait
//! ends: when the waiting process is killed, and after [`REPLY_TIMEOUT_S`] (property P9). It is not
//! ended by a reply to another command, nor by a late reply to an earlier event of the same kind
//! (see [`Replies`]); both are refused.

use super::logic::{
    EventId,
    Replies,
    Socket,
    MOST_MS, //
};
use crate::{
    ext::{
        bindings,
        completion::Completion,
        genl::{
            AttributeType,
            Attributes,
            Family,
            Message,
            Policy,
            Protocol,
            Request, //
        },
        global::global_mutex,
        memalloc::NoIoScope,
    },
    TcmuModule, //
};
use kernel::{
    fmt, module,
    net::netlink::MulticastGroup,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::msecs_to_jiffies,
};

/// How long a daemon is waited for, in seconds. Opening an image over a network takes a while.
const REPLY_TIMEOUT_S: u32 = 120;
const _: () = assert!(REPLY_TIMEOUT_S <= MOST_MS / 1000, "such a wait has no end");

/// Highest errno that a daemon can answer with (`MAX_ERRNO`).
const MAX_ERRNO: i32 = 4095;

/// Multicast group `config`, the only one.
const GROUP: u32 = 0;

static GROUPS: [MulticastGroup; 1] = [MulticastGroup::const_new(c"config")];
static FAMILY: Family = Family::const_new(
    module::this_module::<TcmuModule>(),
    b"TCM-USER\0",
    2,
    &GROUPS,
);

/// Whether the daemon answers (`TCMU_ATTR_SUPP_KERN_CMD_REPLY`).
static REPLY_SUPPORTED: Atomic<u32> = Atomic::new(0);

/// Whether messages that need a reply are held back (module parameter `block_netlink`).
static BLOCKED: Atomic<u32> = Atomic::new(0);

global_mutex! {
    /// The replies of daemons.
    pub(crate) static BOOK: Book = Book::new();
}

/// The replies that are waited for, and those that may still come although nobody waits.
pub(crate) struct Book {
    waiting: KVec<Arc<Pending>>,
    replies: Replies,
    /// The socket that has last said whether its daemon answers.
    announced: Socket,
}

impl Book {
    /// Makes an empty one.
    pub(crate) const fn new() -> Self {
        Self {
            waiting: KVec::new(),
            replies: Replies::new(),
            announced: 0,
        }
    }
}

/// Commands of the family (`enum tcmu_genl_cmd`).
mod cmd {
    use super::bindings;

    pub(super) const ADDED: u8 = bindings::tcmu_genl_cmd_TCMU_CMD_ADDED_DEVICE as u8;
    pub(super) const REMOVED: u8 = bindings::tcmu_genl_cmd_TCMU_CMD_REMOVED_DEVICE as u8;
    pub(super) const RECONFIG: u8 = bindings::tcmu_genl_cmd_TCMU_CMD_RECONFIG_DEVICE as u8;
    pub(super) const ADDED_DONE: u8 = bindings::tcmu_genl_cmd_TCMU_CMD_ADDED_DEVICE_DONE as u8;
    pub(super) const REMOVED_DONE: u8 = bindings::tcmu_genl_cmd_TCMU_CMD_REMOVED_DEVICE_DONE as u8;
    pub(super) const RECONFIG_DONE: u8 =
        bindings::tcmu_genl_cmd_TCMU_CMD_RECONFIG_DEVICE_DONE as u8;
    pub(super) const SET_FEATURES: u8 = bindings::tcmu_genl_cmd_TCMU_CMD_SET_FEATURES as u8;
}

/// Attributes of the family (`enum tcmu_genl_attr`).
mod attr {
    use super::bindings;

    pub(super) const DEVICE: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_DEVICE;
    pub(super) const MINOR: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_MINOR;
    pub(super) const PAD: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_PAD;
    pub(super) const DEV_CFG: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_DEV_CFG;
    pub(super) const DEV_SIZE: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_DEV_SIZE;
    pub(super) const WRITECACHE: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_WRITECACHE;
    pub(super) const CMD_STATUS: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_CMD_STATUS;
    pub(super) const DEVICE_ID: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_DEVICE_ID;
    pub(super) const SUPP_REPLY: u32 = bindings::tcmu_genl_attr_TCMU_ATTR_SUPP_KERN_CMD_REPLY;
}

/// What daemons are told of: a device.
pub(crate) trait Subject {
    /// Index of the device in LIO.
    fn index(&self) -> u32;

    /// The device in messages.
    fn label(&self) -> impl fmt::Display;

    /// Says that something is refused with `error`, and why; the result is the error.
    fn refuse(&self, error: Error, why: fmt::Arguments<'_>) -> Error;

    /// Whether replies about it are waited for (`nl_reply_supported`).
    fn waits_for_replies(&self) -> bool;

    /// The socket that has last replied about it; 0 is none.
    fn daemon(&self) -> Socket;

    /// A socket has replied about it.
    fn set_daemon(&self, socket: Socket);

    /// Calls `with` with name and minor number of its UIO device, if there is one.
    fn with_uio<R>(&self, with: impl FnOnce(&CStr, u32) -> R) -> Option<R>;
}

/// Why a daemon has not done what it was told.
pub(crate) enum Failure {
    /// It says that it cannot.
    Refused(Error),
    /// It has said nothing: the wait was over before.
    Silent(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) | Failure::Silent(error) => error,
        }
    }
}

/// What ended the wait for a reply.
#[derive(Clone, Copy)]
enum End {
    /// The daemon's status, and the socket it came from.
    Reply(i32, Socket),
    /// Module parameter `reset_netlink`.
    Reset,
}

/// What has come during a wait for a reply.
struct Outcome {
    /// What ended the wait, if it was neither time nor a signal.
    end: Option<End>,
    /// Whether a reply was taken for that to an earlier event.
    late: bool,
}

/// A device as messages name it. A daemon knows only the index.
struct Who<'a>(u32, Option<&'a Pending>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(pending) => out.write_fmt(fmt!("{} (device {})", &*pending.name, self.0)),
            None => out.write_fmt(fmt!("device {}", self.0)),
        }
    }
}

/// A reply that a device waits for.
#[pin_data]
pub(crate) struct Pending {
    /// Index of the device in LIO.
    device: u32,
    /// Its name, for messages.
    name: CString,
    /// The command that was sent.
    command: u8,
    /// The event in `Book::replies`.
    event: EventId,
    #[pin]
    outcome: Mutex<Outcome>,
    #[pin]
    reply: Completion,
}

impl Pending {
    /// Enters the list of replies that are waited for.
    ///
    /// `EBUSY`: the device waits already. `EAGAIN`: netlink is blocked.
    fn register(device: &impl Subject, command: u8) -> Result<Arc<Self>> {
        let index = device.index();
        // A daemon that answers needs the lock, and reclaim may need the daemon.
        let _noio = NoIoScope::enter();
        let name = CString::try_from_fmt(fmt!("{}", device.label()))?;
        let mut book = BOOK.lock();
        // Looked at under the lock: `reset` finds what was registered before it was set.
        if is_blocked() {
            let why = fmt!("netlink command {command} not sent, netlink is blocked");
            return Err(device.refuse(EAGAIN, why));
        }
        if let Some(other) = book.waiting.iter().find(|other| other.device == index) {
            let other = other.command;
            let why = fmt!("netlink command {other} is waited for already");
            return Err(device.refuse(EBUSY, why));
        }
        book.waiting.reserve(1, GFP_KERNEL)?;
        // Who may answer after the wait has ended: the sockets that are known by now.
        let debtors = [book.announced, device.daemon()];
        let event = book.replies.sent(index, command, debtors);
        let pending = Arc::pin_init(
            pin_init!(Self {
                device: index,
                name,
                command,
                event,
                outcome <- new_mutex!(Outcome { end: None, late: false }, "Pending::outcome"),
                reply <- Completion::new(),
            }),
            GFP_KERNEL,
        )
        .inspect_err(|_| book.replies.settle(event))?;
        book.waiting.push(pending.clone(), GFP_KERNEL)?;
        Ok(pending)
    }

    /// Leaves the list. With `settled` no reply will come any more.
    fn unregister(this: &Arc<Self>, settled: bool) {
        let mut book = BOOK.lock();
        book.waiting.retain(|other| !Arc::ptr_eq(this, other));
        if settled {
            book.replies.settle(this.event);
        }
    }

    /// The device as messages name it.
    fn who(&self) -> Who<'_> {
        Who(self.device, Some(self))
    }

    /// Waits for the reply. Says too whether it is settled that none comes any more.
    fn wait(&self, daemon_of: &impl Subject) -> (Result<(), Failure>, bool) {
        let result = self
            .reply
            .wait_killable_timeout(msecs_to_jiffies(REPLY_TIMEOUT_S * 1000));
        let command = self.command;
        let outcome = self.outcome.lock();
        match outcome.end {
            Some(End::Reply(status, sender)) => {
                daemon_of.set_daemon(sender);
                (self.judge(status), true)
            }
            Some(End::Reset) => (Err(Failure::Silent(EINTR)), false),
            None => {
                let error = result.err().unwrap_or(EINTR);
                pr_err!(
                    "{}: no reply to netlink command {command}: {error:?}\n",
                    self.who()
                );
                // One reply has come for two events, and then none: it may be that the daemon never
                // got the first event. If it were believed to owe another reply, each of its
                // replies would be taken for a late one from now on.
                let settled = outcome.late;
                (Err(Failure::Silent(error)), settled)
            }
        }
    }

    /// What the daemon's status says.
    fn judge(&self, status: i32) -> Result<(), Failure> {
        if status == 0 {
            return Ok(());
        }
        if (-MAX_ERRNO..0).contains(&status) {
            return Err(Failure::Refused(Error::from_errno(status)));
        }
        let (who, command) = (self.who(), self.command);
        pr_err!("{who}: netlink command {command}: status {status} is no errno: {EINVAL:?}\n");
        Err(Failure::Refused(EINVAL))
    }
}

/// The family `TCM-USER`.
pub(crate) struct TcmuProtocol;

impl Protocol for TcmuProtocol {
    fn family() -> &'static Family {
        &FAMILY
    }

    const POLICY: &'static [Policy] = &{
        let mut table =
            [Policy::new(AttributeType::Any); bindings::tcmu_genl_attr___TCMU_ATTR_MAX as usize];
        table[attr::DEVICE as usize] = Policy::new(AttributeType::Text);
        table[attr::MINOR as usize] = Policy::new(AttributeType::U32);
        table[attr::CMD_STATUS as usize] = Policy::new(AttributeType::S32);
        table[attr::DEVICE_ID as usize] = Policy::new(AttributeType::U32);
        table[attr::SUPP_REPLY as usize] = Policy::new(AttributeType::U8);
        table
    };

    const FIRST_STRICT: u8 = bindings::tcmu_genl_cmd___TCMU_CMD_MAX as u8;

    const REQUESTS: &'static [Request<Self>] = &[
        Request::new(cmd::SET_FEATURES),
        Request::new(cmd::ADDED_DONE),
        Request::new(cmd::REMOVED_DONE),
        Request::new(cmd::RECONFIG_DONE),
    ];

    fn handle(command: u8, sender: Socket, attributes: &Attributes<'_>) -> Result {
        match command {
            cmd::SET_FEATURES => {
                if let Some(supported) = attributes.u8(attr::SUPP_REPLY) {
                    let mut book = BOOK.lock();
                    book.announced = sender;
                    book.replies.announced(sender);
                    REPLY_SUPPORTED.store(supported.into(), Relaxed);
                    pr_info!("daemon: command reply support {supported}\n");
                }
                Ok(())
            }
            cmd::ADDED_DONE => done(cmd::ADDED, sender, attributes),
            cmd::REMOVED_DONE => done(cmd::REMOVED, sender, attributes),
            cmd::RECONFIG_DONE => done(cmd::RECONFIG, sender, attributes),
            _ => Err(EOPNOTSUPP),
        }
    }
}

/// A daemon has done `command`.
fn done(command: u8, sender: Socket, attributes: &Attributes<'_>) -> Result {
    let (Some(status), Some(device)) = (
        attributes.u32(attr::CMD_STATUS),
        attributes.u32(attr::DEVICE_ID),
    ) else {
        pr_err!("netlink reply without status or device id: {EINVAL:?}\n");
        return Err(EINVAL);
    };
    let mut book = BOOK.lock();
    let Book {
        waiting, replies, ..
    } = &mut *book;
    let pending = waiting
        .iter()
        .find(|pending| pending.device == device && pending.outcome.lock().end.is_none());
    let who = Who(device, pending.map(|pending| &**pending));
    if replies.is_late(
        device,
        command,
        sender,
        pending.map(|pending| pending.event),
    ) {
        if let Some(pending) = pending.filter(|pending| pending.command == command) {
            pending.outcome.lock().late = true;
        }
        pr_warn!("{who}: late netlink reply to command {command} ignored: {ENODEV:?}\n");
        return Err(ENODEV);
    }
    let Some(pending) = pending else {
        pr_err!("{who}: netlink reply to command {command}, but none is awaited: {ENODEV:?}\n");
        return Err(ENODEV);
    };
    if pending.command != command {
        // C takes the waiter off its list here, which then waits for ever.
        let expected = pending.command;
        pr_err!("{who}: netlink reply to command {command}, expected {expected}: {EINVAL:?}\n");
        return Err(EINVAL);
    }
    replies.settle(pending.event);
    pending.outcome.lock().end = Some(End::Reply(status as i32, sender));
    pending.reply.complete_all();
    Ok(())
}

/// A device goes: no reply about it is of interest any more.
pub(crate) fn forget(device: &impl Subject) {
    BOOK.lock().replies.forget(device.index());
}

/// Module parameter `block_netlink`.
pub(crate) fn set_blocked(blocked: bool) {
    BLOCKED.store(blocked.into(), Relaxed);
}

/// Module parameter `block_netlink`.
pub(crate) fn is_blocked() -> bool {
    BLOCKED.load(Relaxed) != 0
}

/// Module parameter `reset_netlink`: ends every wait. `EBUSY` unless netlink is blocked.
///
/// As in C, nothing is checked if nobody waits.
pub(crate) fn reset() -> Result {
    let book = BOOK.lock();
    if !book.waiting.is_empty() && !is_blocked() {
        pr_err!("netlink cannot be reset while it is not blocked: {EBUSY:?}\n");
        return Err(EBUSY);
    }
    for pending in book.waiting.iter() {
        pending.outcome.lock().end = Some(End::Reset);
        pending.reply.complete_all();
    }
    Ok(())
}

/// Whether the daemon answers, as it has said itself.
pub(crate) fn reply_supported() -> u8 {
    REPLY_SUPPORTED.load(Relaxed) as u8
}

/// Tells daemons that the device has been enabled.
///
/// A daemon may start later and find the device in sysfs, so it is no error if nobody listens. If
/// it is one, the device will not be enabled. A daemon that did not answer in time may have it all
/// the same, and is told that it goes; one that has refused it has nothing to let go.
pub(crate) fn added(device: &impl Subject) -> Result {
    let message = message(device, cmd::ADDED)?;
    let result = match send(device, cmd::ADDED, message) {
        Err(error) if error == ESRCH => return Ok(()),
        result => result?,
    };
    if let Err(Failure::Silent(_)) = result {
        // Without waiting for an answer: who did not answer before may never do so.
        let _ = self::message(device, cmd::REMOVED)
            .and_then(|message| message.multicast::<TcmuProtocol>(GROUP));
    }
    Ok(result?)
}

/// Tells daemons that the device goes. `ESRCH`: nobody listens.
pub(crate) fn removed(device: &impl Subject) -> Result {
    Ok(send(device, cmd::REMOVED, message(device, cmd::REMOVED)?)??)
}

/// Asks daemons to take another configuration string. `ESRCH`: nobody listens.
pub(crate) fn reconfigure(device: &impl Subject, config: &CStr) -> Result {
    let mut message = message(device, cmd::RECONFIG)?;
    message.put(attr::DEV_CFG, config.to_bytes_with_nul())?;
    Ok(send(device, cmd::RECONFIG, message)??)
}

/// Asks daemons to take another size in bytes. `ESRCH`: nobody listens.
pub(crate) fn resize(device: &impl Subject, size: u64) -> Result {
    let mut message = message(device, cmd::RECONFIG)?;
    message.put_u64(attr::DEV_SIZE, size, attr::PAD)?;
    Ok(send(device, cmd::RECONFIG, message)??)
}

/// Asks daemons to switch the write cache. `ESRCH`: nobody listens.
pub(crate) fn set_write_cache(device: &impl Subject, on: u8) -> Result {
    let mut message = message(device, cmd::RECONFIG)?;
    message.put(attr::WRITECACHE, &[on])?;
    Ok(send(device, cmd::RECONFIG, message)??)
}

/// Begins a message about a device.
fn message(device: &impl Subject, command: u8) -> Result<Message> {
    let mut message = Message::new::<TcmuProtocol>(command)?;
    device
        .with_uio(|name, minor| {
            message.put(attr::DEVICE, name.to_bytes_with_nul())?;
            message.put(attr::MINOR, &minor.to_ne_bytes())
        })
        .ok_or(ENODEV)??;
    message.put(attr::DEVICE_ID, &device.index().to_ne_bytes())?;
    Ok(message)
}

/// Sends a message and waits for the daemon's answer, if it gives any, which is the inner result.
///
/// `ESRCH`: nobody listens. An addition is waited for even then: a daemon that starts meanwhile
/// answers, as C has it.
fn send(device: &impl Subject, command: u8, message: Message) -> Result<Result<(), Failure>> {
    let answers = reply_supported() != 0 && device.waits_for_replies();
    if !answers {
        return message.multicast::<TcmuProtocol>(GROUP).map(Ok);
    }
    // Registered before the message goes out: the reply may come at once.
    let pending = Pending::register(device, command)?;
    let sent = message.multicast::<TcmuProtocol>(GROUP);
    if sent.is_err() {
        // Nobody has it, so nobody owes an answer.
        BOOK.lock().replies.settle(pending.event);
    }
    let (result, settled) = match sent {
        Err(error) if error != ESRCH || command != cmd::ADDED => (Err(error), true),
        _ => {
            let (result, settled) = pending.wait(device);
            (Ok(result), settled)
        }
    };
    Pending::unregister(&pending, settled);
    result
}
