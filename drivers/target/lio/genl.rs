// SPDX-License-Identifier: GPL-2.0

//! A generic netlink family with requests, and multicast to every network namespace.
//!
//! The kernel crate's `net::netlink` has neither: its families take no requests and its messages go
//! to the initial namespace alone.
//!
//! C header: `include/net/genetlink.h`

use super::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    net::netlink::Family,
    prelude::*,
    types::Opaque, //
};

/// Type of an attribute in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum AttributeType {
    /// Not checked.
    Any = 0,
    /// 8 bits.
    U8 = bindings::NLA_U8 as u8,
    /// 32 bits.
    U32 = bindings::NLA_U32 as u8,
    /// 32 bits, signed.
    S32 = bindings::NLA_S32 as u8,
    /// Text.
    Text = bindings::NLA_STRING as u8,
}

/// Makes the policy of an attribute type.
pub(crate) const fn policy(attribute: AttributeType) -> bindings::nla_policy {
    bindings::nla_policy {
        type_: attribute as u8,
        ..pin_init::zeroed()
    }
}

/// A family: what it takes and who handles it.
pub(crate) trait Protocol: 'static {
    /// The family, made with `Family::const_new`.
    fn family() -> &'static Family;

    /// Policies of the attributes, by number.
    const POLICY: &'static [bindings::nla_policy];

    /// First command whose requests are checked strictly, as is the rule for new ones
    /// (`resv_start_op`).
    const FIRST_STRICT: u8;

    /// Commands that are requests to the kernel; they need `CAP_NET_ADMIN`.
    const REQUESTS: &'static [bindings::genl_small_ops];

    /// Handles a request of the socket `sender` (`portid`).
    fn handle(command: u8, sender: u32, attributes: &Attributes<'_>) -> Result;
}

/// Makes the table entry of a request of protocol `P`.
pub(crate) const fn request<P: Protocol>(command: u8) -> bindings::genl_small_ops {
    bindings::genl_small_ops {
        doit: Some(doit::<P>),
        cmd: command,
        flags: bindings::GENL_ADMIN_PERM as u8,
        // Old daemons send attributes without the flag of nested ones and with rest bytes.
        validate: (bindings::genl_validate_flags_GENL_DONT_VALIDATE_STRICT
            | bindings::genl_validate_flags_GENL_DONT_VALIDATE_DUMP) as u8,
        ..pin_init::zeroed()
    }
}

/// # Safety
///
/// Called by generic netlink with a request that it has checked against `P::POLICY`.
unsafe extern "C" fn doit<P: Protocol>(
    _skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    // SAFETY: By the safety requirements `info` is valid, and `attrs` has an entry for every
    // attribute of the policy.
    let (command, sender, attributes) = unsafe {
        let attributes = core::slice::from_raw_parts((*info).attrs, P::POLICY.len());
        let command = (*(*info).genlhdr).cmd;
        (command, (*info).snd_portid, Attributes(attributes))
    };
    kernel::error::from_result(|| P::handle(command, sender, &attributes).map(|()| 0))
}

/// The attributes of a request.
///
/// # Invariants
///
/// Each entry is null or a valid attribute that has been checked against the policy of its number.
pub(crate) struct Attributes<'a>(&'a [*mut bindings::nlattr]);

impl Attributes<'_> {
    fn payload<const N: usize>(&self, number: u32) -> Option<[u8; N]> {
        let attribute = NonNull::new(*self.0.get(number as usize)?)?;
        let header = size_of::<bindings::nlattr>();
        // SAFETY: By the type invariant the attribute is valid for `nla_len` bytes, its header
        // included; netlink aligns it to 4 bytes, its payload may be less aligned than `N`.
        unsafe {
            let length = usize::from((*attribute.as_ptr()).nla_len);
            (length >= header + N).then(|| {
                attribute
                    .as_ptr()
                    .byte_add(header)
                    .cast::<[u8; N]>()
                    .read_unaligned()
            })
        }
    }

    /// The 32-bit attribute `number`, if the request has it.
    pub(crate) fn u32(&self, number: u32) -> Option<u32> {
        self.payload(number).map(u32::from_ne_bytes)
    }

    /// The 8-bit attribute `number`, if the request has it.
    pub(crate) fn u8(&self, number: u32) -> Option<u8> {
        self.payload(number).map(u8::from_ne_bytes)
    }
}

/// A message to the listeners of a multicast group.
///
/// # Invariants
///
/// `skb` is owned and begins with the header `header`.
pub(crate) struct Message {
    skb: NonNull<bindings::sk_buff>,
    header: NonNull<c_void>,
}

impl Message {
    /// Begins a message.
    pub(crate) fn new<P: Protocol>(command: u8) -> Result<Self> {
        let size = bindings::GENLMSG_DEFAULT_SIZE;
        // SAFETY: Any size is allowed; the family is registered as long as there are devices. On
        // error the buffer is freed, which nobody else has.
        unsafe {
            let skb =
                NonNull::new(bindings::genlmsg_new(size, bindings::GFP_KERNEL)).ok_or(ENOMEM)?;
            let family = P::family().as_raw();
            let header = bindings::genlmsg_put(skb.as_ptr(), 0, 0, family, 0, command);
            match NonNull::new(header) {
                // INVARIANT: Just made.
                Some(header) => Ok(Self { skb, header }),
                None => {
                    bindings::nlmsg_free(skb.as_ptr());
                    Err(ENOMEM)
                }
            }
        }
    }

    /// Adds an attribute.
    pub(crate) fn put(&mut self, number: u32, value: &[u8]) -> Result {
        let data = value.as_ptr().cast();
        // SAFETY: The buffer is valid by the type invariant, `value` for its length.
        to_result(unsafe {
            bindings::nla_put(
                self.skb.as_ptr(),
                number as c_int,
                value.len() as c_int,
                data,
            )
        })
    }

    /// Adds a 64-bit attribute, aligned with the help of attribute `pad`.
    pub(crate) fn put_u64(&mut self, number: u32, value: u64, pad: u32) -> Result {
        // SAFETY: The buffer is valid by the type invariant, `value` for 8 bytes.
        to_result(unsafe {
            bindings::nla_put_64bit(
                self.skb.as_ptr(),
                number as c_int,
                size_of::<u64>() as c_int,
                (&raw const value).cast(),
                pad as c_int,
            )
        })
    }

    /// Sends the message to every network namespace. `ESRCH`: nobody listens.
    pub(crate) fn multicast<P: Protocol>(self, group: u32) -> Result {
        let message = core::mem::ManuallyDrop::new(self);
        // SAFETY: The buffer is valid by the type invariant and is given away here; the family is
        // registered.
        to_result(unsafe {
            bindings::genlmsg_end(message.skb.as_ptr(), message.header.as_ptr());
            bindings::genlmsg_multicast_allns(P::family().as_raw(), message.skb.as_ptr(), 0, group)
        })
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: The buffer is owned by the type invariant.
        unsafe { bindings::nlmsg_free(self.skb.as_ptr()) };
    }
}

/// A registered family with requests; dropping it unregisters the family.
pub(crate) struct Registration(
    #[expect(dead_code, reason = "only dropped")] kernel::net::netlink::Registration,
);

impl Registration {
    /// Registers the family of protocol `P`.
    pub(crate) fn new<P: Protocol>() -> Result<Self> {
        // SAFETY: The family is not registered, so nobody else reads it; the tables are constants.
        unsafe {
            let family = P::family().as_raw();
            (*family).policy = P::POLICY.as_ptr();
            (*family).maxattr = P::POLICY.len() as u32 - 1;
            (*family).small_ops = P::REQUESTS.as_ptr();
            (*family).n_small_ops = P::REQUESTS.len() as u8;
            (*family).resv_start_op = P::FIRST_STRICT;
        }
        P::family().register().map(Self)
    }
}

/// A reply that a thread waits for.
#[pin_data]
pub(crate) struct Awaited {
    #[pin]
    done: Opaque<bindings::completion>,
}

// SAFETY: A completion does its own locking.
unsafe impl Send for Awaited {}
// SAFETY: As above.
unsafe impl Sync for Awaited {}

impl Awaited {
    /// Makes a reply that has not come.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `init_completion()` initialises the whole struct.
            done <- Opaque::ffi_init(|done| unsafe { bindings::init_completion(done) }),
        })
    }

    /// The reply has come.
    pub(crate) fn complete(&self) {
        // SAFETY: Initialised by `new`.
        unsafe { bindings::complete_all(self.done.get()) };
    }

    /// Waits for the reply, at most `timeout` jiffies.
    ///
    /// Errors: `EINTR` if the waiting process is being killed, `ETIMEDOUT`.
    ///
    /// The kernel crate's `Completion` only waits without end.
    pub(crate) fn wait(&self, timeout: usize) -> Result {
        // SAFETY: Initialised by `new`; called in process context.
        let left =
            unsafe { bindings::wait_for_completion_killable_timeout(self.done.get(), timeout) };
        match left {
            0 => Err(ETIMEDOUT),
            left if left < 0 => Err(EINTR),
            _ => Ok(()),
        }
    }
}
