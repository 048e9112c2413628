// SPDX-License-Identifier: GPL-2.0

//! A generic netlink family with requests, and multicast to every network namespace.
//!
//! The kernel crate's `net::netlink` has neither: its families take no requests and its messages go
//! to the initial namespace alone.
//!
//! C header: `include/net/genetlink.h`

use super::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    net::netlink::{
        self,
        MulticastGroup, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Type of an attribute in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AttributeType {
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

/// What an attribute of a request must be like (`struct nla_policy`).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Policy(bindings::nla_policy);

impl Policy {
    /// Makes the policy of an attribute type.
    pub const fn new(attribute: AttributeType) -> Self {
        Self(bindings::nla_policy {
            type_: attribute as u8,
            ..pin_init::zeroed()
        })
    }
}

/// A family, which can be registered once.
pub struct Family {
    family: netlink::Family,
    registered: Atomic<u32>,
}

impl Family {
    /// Makes a family that is not registered, as `netlink::Family::const_new()` does.
    pub const fn const_new(
        module: &'static ThisModule,
        name: &[u8],
        version: u32,
        groups: &'static [MulticastGroup],
    ) -> Self {
        Self {
            family: netlink::Family::const_new(module, name, version, groups),
            registered: Atomic::new(0),
        }
    }

    fn as_raw(&self) -> *mut bindings::genl_family {
        self.family.as_raw()
    }
}

/// A family: what it takes and who handles it.
pub trait Protocol: Sized + 'static {
    /// The family.
    fn family() -> &'static Family;

    /// Policies of the attributes, by number; the one of number 0, which no attribute has, is not
    /// used.
    const POLICY: &'static [Policy];

    /// First command whose requests are checked strictly, as is the rule for new ones
    /// (`resv_start_op`).
    const FIRST_STRICT: u8;

    /// Commands that are requests to the kernel; they need `CAP_NET_ADMIN`.
    const REQUESTS: &'static [Request<Self>];

    /// Handles a request of the socket `sender` (`portid`).
    fn handle(command: u8, sender: u32, attributes: &Attributes<'_>) -> Result;
}

/// A request that the family of protocol `P` takes (`struct genl_small_ops`).
#[repr(transparent)]
pub struct Request<P>(bindings::genl_small_ops, PhantomData<fn() -> P>);

impl<P: Protocol> Request<P> {
    /// Makes a request.
    pub const fn new(command: u8) -> Self {
        let ops = bindings::genl_small_ops {
            doit: Some(doit::<P>),
            cmd: command,
            flags: bindings::GENL_ADMIN_PERM as u8,
            // Old daemons send attributes without the flag of nested ones and with rest bytes.
            validate: (bindings::genl_validate_flags_GENL_DONT_VALIDATE_STRICT
                | bindings::genl_validate_flags_GENL_DONT_VALIDATE_DUMP)
                as u8,
            ..pin_init::zeroed()
        };
        Self(ops, PhantomData)
    }
}

/// # Safety
///
/// Called by generic netlink with a request to the family of `P`, which has been registered.
unsafe extern "C" fn doit<P: Protocol>(
    _skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    // SAFETY: By the safety requirements `info` is valid, and as `Registration::new` has given the
    // family the policy, `attrs` has an entry for each of it and has been checked against it.
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
pub struct Attributes<'a>(&'a [*mut bindings::nlattr]);

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
    pub fn u32(&self, number: u32) -> Option<u32> {
        self.payload(number).map(u32::from_ne_bytes)
    }

    /// The 8-bit attribute `number`, if the request has it.
    pub fn u8(&self, number: u32) -> Option<u8> {
        self.payload(number).map(u8::from_ne_bytes)
    }
}

/// The longest attribute that `nla_len` has a number for.
const MAX_PAYLOAD: usize = u16::MAX as usize - size_of::<bindings::nlattr>();

/// A message to the listeners of a multicast group.
///
/// # Invariants
///
/// `skb` is owned and begins with the header `header`.
pub struct Message {
    skb: NonNull<bindings::sk_buff>,
    header: NonNull<c_void>,
}

impl Message {
    /// Begins a message.
    pub fn new<P: Protocol>(command: u8) -> Result<Self> {
        let size = bindings::GENLMSG_DEFAULT_SIZE;
        // SAFETY: Any size is allowed; the family is static, and `genlmsg_put()` copies numbers out
        // of it whether it is registered or not. On error the buffer is freed, which nobody else
        // has.
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

    /// Adds an attribute. `EMSGSIZE`: there is no room for it.
    pub fn put(&mut self, number: u32, value: &[u8]) -> Result {
        // What C takes for the length is shorter than that of a slice.
        if value.len() > MAX_PAYLOAD {
            return Err(EMSGSIZE);
        }
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
    pub fn put_u64(&mut self, number: u32, value: u64, pad: u32) -> Result {
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
    pub fn multicast<P: Protocol>(self, group: u32) -> Result {
        let message = core::mem::ManuallyDrop::new(self);
        // SAFETY: The buffer is valid by the type invariant and is given away here; the family is
        // static. One that is not registered has no groups whose listeners it could tell.
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
pub struct Registration(#[expect(dead_code, reason = "only dropped")] netlink::Registration);

impl Registration {
    /// Registers the family of protocol `P`. `EBUSY`: it has been registered before.
    pub fn new<P: Protocol>() -> Result<Self> {
        let Family { family, registered } = P::family();
        const {
            // Without any attribute generic netlink hands over no table of them at all.
            assert!(P::POLICY.len() >= 2 && P::POLICY.len() <= u16::MAX as usize);
            assert!(P::REQUESTS.len() <= u8::MAX as usize);
        }
        registered.cmpxchg(0, 1, Relaxed).map_err(|_| EBUSY)?;
        // SAFETY: The family is not registered, and nobody else gets here: nobody else uses these
        // fields. The tables are constants, and a `Policy` or `Request` is just what C has.
        unsafe {
            let family = family.as_raw();
            (*family).policy = P::POLICY.as_ptr().cast();
            (*family).maxattr = P::POLICY.len() as u32 - 1;
            (*family).small_ops = P::REQUESTS.as_ptr().cast();
            (*family).n_small_ops = P::REQUESTS.len() as u8;
            (*family).resv_start_op = P::FIRST_STRICT;
        }
        family.register().map(Self)
    }
}
