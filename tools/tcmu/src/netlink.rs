// SPDX-License-Identifier: GPL-2.0
//! The generic netlink family `TCM-USER`: the kernel announces devices, user space may answer.
//!
//! Once a handler has declared support for replies ([`Netlink::set_features`]), the kernel lets the
//! configfs operation that caused an event wait until the event has been answered.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{
    parse_string, parse_u32, parse_u64, DecodeError, DefaultNla, Emitable, NetlinkMessage,
    NetlinkPayload, Nla, NlaBuffer, NlasIterator, Parseable, ParseableParametrized, NLM_F_ACK,
    NLM_F_REQUEST,
};
use netlink_packet_generic::ctrl::nlas::{GenlCtrlAttrs, McastGrpAttrs};
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_sys::{protocols::NETLINK_GENERIC, Socket, SocketAddr};

use crate::uapi;

/// `enum tcmu_genl_cmd`.
mod cmd {
    pub const ADDED_DEVICE: u8 = 1;
    pub const REMOVED_DEVICE: u8 = 2;
    pub const RECONFIG_DEVICE: u8 = 3;
    /// What is added to an event's command for the command of its reply.
    pub const DONE: u8 = 3;
    pub const SET_FEATURES: u8 = 7;
}

/// `enum tcmu_genl_attr`.
mod attr {
    pub const DEVICE: u16 = 1;
    pub const MINOR: u16 = 2;
    pub const DEV_CFG: u16 = 4;
    pub const DEV_SIZE: u16 = 5;
    pub const WRITECACHE: u16 = 6;
    pub const CMD_STATUS: u16 = 7;
    pub const DEVICE_ID: u16 = 8;
    pub const SUPP_KERN_CMD_REPLY: u16 = 9;
}

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was enabled.
    Added,
    /// It is about to go.
    Removed,
    /// One of its settings is about to change.
    Reconfig,
}

impl EventKind {
    /// Name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Reconfig => "reconfig",
        }
    }

    fn command(self) -> u8 {
        match self {
            Self::Added => cmd::ADDED_DEVICE,
            Self::Removed => cmd::REMOVED_DEVICE,
            Self::Reconfig => cmd::RECONFIG_DEVICE,
        }
    }

    fn of(command: u8) -> Option<Self> {
        [Self::Added, Self::Removed, Self::Reconfig]
            .into_iter()
            .find(|kind| kind.command() == command)
    }
}

/// The setting that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Configuration string.
    Config(String),
    /// Size in bytes.
    Size(u64),
    /// WCE of the caching mode page.
    WriteCache(bool),
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Name of the UIO device, `tcm-user/<host>/<name>[/<config>]`.
    pub device: String,
    /// Minor number of the UIO device: N of `/dev/uioN`.
    pub minor: u32,
    /// The kernel's number of the device, which the reply has to name.
    pub device_id: u32,
    /// For [`EventKind::Reconfig`].
    pub setting: Option<Setting>,
}

impl Event {
    fn parse(message: &Message) -> Result<Option<Self>, DecodeError> {
        let Some(kind) = EventKind::of(message.cmd) else {
            return Ok(None);
        };
        let mut event = Self {
            kind,
            device: String::new(),
            minor: 0,
            device_id: 0,
            setting: None,
        };
        for attribute in &message.attributes {
            let mut value = vec![0; attribute.value_len()];
            attribute.emit_value(&mut value);
            match attribute.kind() {
                attr::DEVICE => event.device = parse_string(&value)?,
                attr::MINOR => event.minor = parse_u32(&value)?,
                attr::DEVICE_ID => event.device_id = parse_u32(&value)?,
                attr::DEV_CFG => event.setting = Some(Setting::Config(parse_string(&value)?)),
                attr::DEV_SIZE => event.setting = Some(Setting::Size(parse_u64(&value)?)),
                attr::WRITECACHE => {
                    let enabled = value.first().is_some_and(|byte| *byte != 0);
                    event.setting = Some(Setting::WriteCache(enabled));
                }
                // Kernels may tell more.
                _ => (),
            }
        }
        Ok(Some(event))
    }
}

/// A message of the family with its attributes undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    cmd: u8,
    attributes: Vec<DefaultNla>,
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        uapi::GENL_FAMILY
    }

    fn command(&self) -> u8 {
        self.cmd
    }

    fn version(&self) -> u8 {
        uapi::GENL_VERSION
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(buf: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        let attributes = NlasIterator::new(buf)
            .map(|attribute| DefaultNla::parse(&NlaBuffer::new_checked(attribute?.into_inner())?))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            cmd: header.cmd,
            attributes,
        })
    }
}

/// A connection to the family: one socket for events, one for requests.
pub struct Netlink {
    events: Socket,
    requests: Socket,
    family: u16,
    sequence: u32,
}

impl Netlink {
    /// Looks the family up and subscribes to its events.
    ///
    /// # Errors
    ///
    /// NotFound if the family is not registered: target_core_user is not loaded.
    pub fn connect() -> io::Result<Self> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_GENERIC)?;
            socket.bind_auto()?;
            Ok(socket)
        };
        let mut netlink = Self {
            events: open()?,
            requests: open()?,
            family: 0,
            sequence: 0,
        };
        netlink.requests.connect(&SocketAddr::new(0, 0))?;
        let group = netlink.resolve()?;
        netlink.events.add_membership(group)?;
        netlink.events.set_non_blocking(true)?;
        Ok(netlink)
    }

    /// Fills in the family's number and returns that of its multicast group.
    fn resolve(&mut self) -> io::Result<u32> {
        let request = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(uapi::GENL_FAMILY.into())],
        });
        let unregistered = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::new(
                io::ErrorKind::NotFound,
                "generic netlink family TCM-USER is not registered: is target_core_user loaded?",
            ),
            _ => error,
        };
        let answer = self.request(request, NLM_F_REQUEST).map_err(unregistered)?;
        let mut group = None;
        for attribute in answer
            .map(|message| message.payload.nlas)
            .unwrap_or_default()
        {
            match attribute {
                GenlCtrlAttrs::FamilyId(id) => self.family = id,
                GenlCtrlAttrs::McastGroups(groups) => {
                    group = groups.iter().find_map(|group| group_id(group))
                }
                _ => (),
            }
        }
        match group {
            Some(group) if self.family != 0 => Ok(group),
            _ => Err(io::Error::other(
                "generic netlink family TCM-USER has no group config",
            )),
        }
    }

    /// Sends a request and waits for the answer: a message, or `None` for an acknowledgement.
    fn request<F>(
        &mut self,
        message: GenlMessage<F>,
        flags: u16,
    ) -> io::Result<Option<GenlMessage<F>>>
    where
        F: GenlFamily + Emitable + ParseableParametrized<[u8], GenlHeader> + std::fmt::Debug,
    {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = NetlinkMessage::from(message);
        packet.header.flags = flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.requests.send(&bytes, 0)?;
        loop {
            let (answer, _) = self.requests.recv_from_full()?;
            let answer =
                NetlinkMessage::<GenlMessage<F>>::deserialize(&answer).map_err(io::Error::other)?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            return match answer.payload {
                NetlinkPayload::InnerMessage(message) => Ok(Some(message)),
                NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
                NetlinkPayload::Error(_) => Ok(None),
                other => Err(io::Error::other(format!("unexpected answer {other:?}"))),
            };
        }
    }

    fn send(&mut self, cmd: u8, attributes: Vec<DefaultNla>) -> io::Result<()> {
        let mut message = GenlMessage::from_payload(Message { cmd, attributes });
        message.set_resolved_family_id(self.family);
        self.request(message, NLM_F_REQUEST | NLM_F_ACK).map(|_| ())
    }

    /// The next event, `None` if there is none now.
    ///
    /// # Errors
    ///
    /// ENOBUFS if events were lost; those that follow still come.
    pub fn next_event(&mut self) -> io::Result<Option<Event>> {
        loop {
            let datagram = match self.events.recv_from_full() {
                Ok((datagram, _)) => datagram,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            };
            let message = NetlinkMessage::<GenlMessage<Message>>::deserialize(&datagram)
                .map_err(io::Error::other)?;
            if let NetlinkPayload::InnerMessage(message) = message.payload {
                let event = Event::parse(&message.payload).map_err(io::Error::other)?;
                if event.is_some() {
                    return Ok(event);
                }
            }
        }
    }

    /// Answers an event: 0, or a negative errno with which the operation is to fail.
    ///
    /// # Errors
    ///
    /// What the kernel says: ENODEV if nothing waits for a reply of this device.
    pub fn reply(&mut self, event: &Event, status: i32) -> io::Result<()> {
        let attributes = vec![
            DefaultNla::new(attr::CMD_STATUS, status.to_ne_bytes().into()),
            DefaultNla::new(attr::DEVICE_ID, event.device_id.to_ne_bytes().into()),
        ];
        self.send(event.kind.command() + cmd::DONE, attributes)
    }

    /// Declares whether events will be answered. Holds for all devices until changed.
    ///
    /// # Errors
    ///
    /// What the kernel says: EPERM without the necessary privilege.
    pub fn set_features(&mut self, kernel_waits: bool) -> io::Result<()> {
        let attribute = DefaultNla::new(attr::SUPP_KERN_CMD_REPLY, vec![u8::from(kernel_waits)]);
        self.send(cmd::SET_FEATURES, vec![attribute])
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// The number of the group of device events.
fn group_id(attributes: &[McastGrpAttrs]) -> Option<u32> {
    let named = |attribute: &McastGrpAttrs| matches!(attribute, McastGrpAttrs::Name(name) if name == uapi::GENL_GROUP);
    attributes.iter().any(named).then_some(())?;
    attributes.iter().find_map(|attribute| match attribute {
        McastGrpAttrs::Id(id) => Some(*id),
        McastGrpAttrs::Name(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(cmd: u8, attributes: Vec<(u16, Vec<u8>)>) -> Message {
        let attributes = attributes
            .into_iter()
            .map(|(kind, value)| DefaultNla::new(kind, value));
        Message {
            cmd,
            attributes: attributes.collect(),
        }
    }

    #[test]
    fn events_survive_the_wire() {
        let sent = message(
            cmd::RECONFIG_DEVICE,
            vec![
                (attr::DEVICE, b"tcm-user/3/disk\0".into()),
                (attr::MINOR, 2u32.to_ne_bytes().into()),
                (attr::DEVICE_ID, 9u32.to_ne_bytes().into()),
                (attr::DEV_SIZE, (1u64 << 40).to_ne_bytes().into()),
                (99, vec![1, 2, 3]),
            ],
        );
        let mut bytes = vec![0; sent.buffer_len()];
        sent.emit(&mut bytes);
        let header = GenlHeader {
            cmd: cmd::RECONFIG_DEVICE,
            version: 2,
        };
        let back = Message::parse_with_param(&bytes, header).unwrap();
        assert_eq!(back, sent);
        let event = Event::parse(&back).unwrap().unwrap();
        let expected = Event {
            kind: EventKind::Reconfig,
            device: "tcm-user/3/disk".into(),
            minor: 2,
            device_id: 9,
            setting: Some(Setting::Size(1 << 40)),
        };
        assert_eq!(event, expected);
    }

    #[test]
    fn other_commands_are_no_events() {
        for cmd in [0, cmd::ADDED_DEVICE + cmd::DONE, cmd::SET_FEATURES, 200] {
            assert_eq!(Event::parse(&message(cmd, Vec::new())).unwrap(), None);
        }
    }

    #[test]
    fn short_attributes_are_errors() {
        let short = message(cmd::ADDED_DEVICE, vec![(attr::MINOR, vec![1])]);
        assert!(Event::parse(&short).is_err());
        let header = GenlHeader {
            cmd: cmd::ADDED_DEVICE,
            version: 2,
        };
        assert!(Message::parse_with_param(&[200, 0, 1, 0], header).is_err());
    }

    #[test]
    fn only_the_group_of_events_is_taken() {
        let group = |name: &str| [McastGrpAttrs::Name(name.into()), McastGrpAttrs::Id(5)];
        assert_eq!(group_id(&group("config")), Some(5));
        assert_eq!(group_id(&group("other")), None);
    }
}
