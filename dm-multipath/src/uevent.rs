//! What the kernel says when a device comes, changes or goes (`lib/kobject_uevent.c`).
//!
//! [`Uevent`] parses one message; [`UeventSocket`] hears them. These are the kernel's own
//! messages, not those that udev sends on when its rules have run: a path is known as soon as
//! the kernel has it, whether there is a udev or not.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
    socket,
};

use crate::DeviceNumber;

/// A device came, changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uevent {
    /// What happened.
    pub action: UeventAction,
    /// The device's folder below `/sys`, with a slash before it.
    pub devpath: String,
    /// The kind of device: `block`, `scsi`, …
    pub subsystem: String,
    /// All variables, the three above too, as they came.
    variables: Vec<(String, String)>,
}

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UeventAction {
    /// It is there.
    Add,
    /// It is gone.
    Remove,
    /// It is different.
    Change,
    /// Anything else: `move`, `bind`, `unbind`, `online`, `offline`.
    Other,
}

/// A message that is none of the kernel's about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a uevent of the kernel")]
pub struct ParseUeventError;

impl Uevent {
    /// Parses a message: a head, then variables, each ended by a zero byte.
    ///
    /// ```text
    /// add@/devices/…/block/sdb\0ACTION=add\0DEVPATH=/devices/…/block/sdb\0SUBSYSTEM=block\0…
    /// ```
    ///
    /// # Errors
    /// It has another form, or lacks one of the three variables that each has.
    pub fn parse(message: &[u8]) -> Result<Self, ParseUeventError> {
        let mut words = message.split(|byte| *byte == 0);
        let head = words.next().unwrap_or_default();
        if !head.contains(&b'@') {
            return Err(ParseUeventError);
        }
        let variables: Vec<(String, String)> = words.filter_map(variable).collect();
        let value = |name: &str| {
            let found = variables.iter().find(|(known, _)| known == name);
            found
                .map(|(_, value)| value.clone())
                .ok_or(ParseUeventError)
        };
        Ok(Self {
            action: UeventAction::of(&value("ACTION")?),
            devpath: value("DEVPATH")?,
            subsystem: value("SUBSYSTEM")?,
            variables,
        })
    }

    /// A variable's value.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The device's number, if it has one.
    #[must_use]
    pub fn device(&self) -> Option<DeviceNumber> {
        let part = |name| u32::from_str(self.variable(name)?).ok();
        Some(DeviceNumber::new(part("MAJOR")?, part("MINOR")?))
    }

    /// Whether it is about a whole disk, not a partition.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        self.subsystem == "block" && self.variable("DEVTYPE") == Some("disk")
    }
}

impl UeventAction {
    fn of(word: &str) -> Self {
        match word {
            "add" => Self::Add,
            "remove" => Self::Remove,
            "change" => Self::Change,
            _ => Self::Other,
        }
    }
}

fn variable(word: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(word);
    let (name, value) = text.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

/// Hears the kernel's messages. As a descriptor it is readable when there are some.
#[derive(Debug)]
pub struct UeventSocket {
    socket: OwnedFd,
}

/// What came out of the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Uevent(Uevent),
    /// Something that is no message of the kernel's about a device.
    Noise,
    /// Messages were lost, since they came faster than they were read: look at everything.
    Lost,
    /// Nothing more for now.
    Silence,
}

impl UeventSocket {
    /// Begins to listen. Every user may; what is heard is what happens from now on.
    ///
    /// # Errors
    /// There is no descriptor left, or the kernel has no uevents.
    pub fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        // Beyond the limit for users, if this one may.
        if setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
            setsockopt(&socket, RcvBuf, &RECEIVE_BUFFER)?;
        }
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self { socket })
    }

    /// The next message; never waits.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn receive(&self) -> io::Result<Heard> {
        let mut buffer = [0; MAX_MESSAGE];
        let received = recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffer);
        let (length, sender) = match received {
            Ok((length, sender)) => (length, sender.map(|sender| sender.pid())),
            Err(Errno::EAGAIN) => return Ok(Heard::Silence),
            Err(Errno::EINTR) => return Ok(Heard::Noise),
            Err(Errno::ENOBUFS) => return Ok(Heard::Lost),
            Err(errno) => return Err(errno.into()),
        };
        // Only the kernel has number 0; programs can send to this socket as well.
        if sender != Some(0) {
            return Ok(Heard::Noise);
        }
        let uevent = Uevent::parse(buffer.get(..length).unwrap_or_default());
        Ok(uevent.map_or(Heard::Noise, Heard::Uevent))
    }
}

impl AsFd for UeventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The kernel's messages; udev's are of group 2.
const KERNEL_GROUP: u32 = 1;

/// A message is at most 2 KiB (`UEVENT_BUFFER_SIZE` in `include/linux/kobject.h`) and its head.
const MAX_MESSAGE: usize = 8 << 10;

/// Room for some ten thousand messages: a host that finds a thousand LUNs on sixteen paths sends
/// as many at once, each with the kernel's overhead.
const RECEIVE_BUFFER: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"add@/devices/x/3:0:0:1/block/sdb\0ACTION=add\0\
        DEVPATH=/devices/x/3:0:0:1/block/sdb\0SUBSYSTEM=block\0MAJOR=8\0MINOR=16\0\
        DEVNAME=sdb\0DEVTYPE=disk\0DISKSEQ=9\0SEQNUM=1234\0";

    #[test]
    fn a_disk_comes() {
        let uevent = Uevent::parse(MESSAGE).unwrap();
        assert_eq!(uevent.action, UeventAction::Add);
        assert_eq!(uevent.devpath, "/devices/x/3:0:0:1/block/sdb");
        assert!(uevent.is_disk());
        assert_eq!(uevent.device(), Some(DeviceNumber::new(8, 16)));
        assert_eq!(uevent.variable("DISKSEQ"), Some("9"));
        assert_eq!(uevent.variable("DM_NAME"), None);
    }

    #[test]
    fn other_messages_are_told_apart() {
        let text = String::from_utf8(MESSAGE.to_vec()).unwrap();
        let parse = |from: &str, to: &str| Uevent::parse(text.replace(from, to).as_bytes());
        assert!(!parse("TYPE=disk", "TYPE=partition").unwrap().is_disk());
        let removed = parse("ACTION=add", "ACTION=remove").unwrap();
        assert_eq!(removed.action, UeventAction::Remove);
        let moved = parse("ACTION=add", "ACTION=move").unwrap();
        assert_eq!(moved.action, UeventAction::Other);
        assert_eq!(parse("MINOR=16", "MINOR=x").unwrap().device(), None);
        parse("SUBSYSTEM=", "SYSTEM=").unwrap_err();
        parse("add@", "libudev").unwrap_err();
    }

    #[test]
    fn no_cut_or_changed_message_panics() {
        for cut in 0..MESSAGE.len() {
            let _ = Uevent::parse(&MESSAGE[..cut]);
            for byte in [0, b'=', b'@', 0xff] {
                let mut changed = MESSAGE.to_vec();
                changed[cut] = byte;
                let _ = Uevent::parse(&changed);
            }
        }
    }
}
