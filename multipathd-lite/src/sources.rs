//! What tells the loop that something has changed below: the kernel's uevents and device-mapper's
//! events; in a sandbox, inotify on its folder.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use dm_multipath::DeviceNumber;
use dm_multipath::sys::DmControl;
use dm_multipath::uevent::{Heard, Uevent, UeventSocket};
use mpathpersist::Host;
use mpathpersist::sandbox::{Condition, Node};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::event::Event;

/// Where events come from.
#[derive(Debug)]
pub(crate) enum Sources {
    Kernel {
        uevents: Option<UeventSocket>,
        dm: Option<DmControl>,
    },
    Sandbox(Option<SanWatch>),
}

/// Which of them is ready, as epoll is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens {
    pub(crate) devices: u64,
    pub(crate) maps: u64,
}

impl Sources {
    /// Begins to listen. What cannot be heard is logged, and done without.
    pub(crate) fn open(host: &Host) -> Self {
        match &host.sandbox {
            None => Self::Kernel {
                uevents: or_warn("uevents", UeventSocket::open()),
                dm: or_warn("device-mapper", DmControl::open_in(&host.roots)),
            },
            Some(node) => Self::Sandbox(or_warn("the sandbox", SanWatch::open(node))),
        }
    }

    pub(crate) fn watch(&self, epoll: &Epoll, tokens: Tokens) -> io::Result<()> {
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        match self {
            Self::Kernel { uevents, dm } => {
                if let Some(uevents) = uevents {
                    epoll.add(uevents, readable(tokens.devices))?;
                }
                if let Some(dm) = dm {
                    epoll.add(dm, readable(tokens.maps))?;
                }
            }
            Self::Sandbox(Some(watch)) => {
                epoll.add(watch.inotify.as_fd(), readable(tokens.devices))?;
            }
            Self::Sandbox(None) => {}
        }
        Ok(())
    }

    /// Makes the next event of device-mapper heard.
    pub(crate) fn arm(&mut self, epoll: &Epoll) {
        let Self::Kernel { dm, .. } = self else {
            return;
        };
        let armed = dm.as_ref().map(DmControl::arm_poll);
        if let Some(Err(error)) = armed {
            tracing::error!("no events of device-mapper: {error}");
            if let Some(dm) = dm.take() {
                let _ = epoll.delete(&dm);
            }
        }
    }

    /// A bounded part of what there is to hear; the rest wakes the loop again.
    pub(crate) fn hear(&mut self) -> Vec<Event> {
        match self {
            Self::Kernel { uevents, .. } => hear_kernel(uevents),
            Self::Sandbox(watch) => watch.as_mut().map(SanWatch::changed).unwrap_or_default(),
        }
    }
}

fn hear_kernel(uevents: &mut Option<UeventSocket>) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..MAX_HEARD {
        let heard = uevents.as_ref().map(UeventSocket::receive);
        match heard {
            Some(Ok(Heard::Uevent(uevent))) => events.push(Event::Uevent(uevent)),
            Some(Ok(Heard::Lost)) => events.push(Event::UeventsLost),
            Some(Ok(Heard::Noise)) => {}
            Some(Ok(Heard::Silence)) | None => break,
            Some(Err(error)) => {
                tracing::error!("uevents: {error}");
                *uevents = None;
                break;
            }
        }
    }
    events
}

/// Notices when a sandbox is changed, and says it as the kernel would: paths that come, go or are
/// different, and maps that are. Its file is small and never on a map: it is read in the loop.
#[derive(Debug)]
pub(crate) struct SanWatch {
    inotify: Inotify,
    node: Node,
    known: BTreeMap<DeviceNumber, (String, Condition)>,
}

impl SanWatch {
    fn open(node: &Node) -> io::Result<Self> {
        let inotify = watch_folder(node)?;
        let known = node.conditions().map_err(io::Error::other)?;
        Ok(Self {
            inotify,
            node: node.clone(),
            known,
        })
    }

    fn changed(&mut self) -> Vec<Event> {
        match self.inotify.read_events() {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EINTR) => return Vec::new(),
            Err(errno) => tracing::error!("watching the sandbox: {errno}"),
        }
        let now = match self.node.conditions() {
            Ok(now) => now,
            Err(error) => {
                tracing::error!("{error}");
                return Vec::new();
            }
        };
        let mut events = Vec::new();
        for (device, (name, condition)) in &now {
            let before = self.known.get(device).map(|(_, before)| *before);
            let action = match (before, condition) {
                (Some(before), now) if before == *now => continue,
                (_, Condition::Gone) => "remove",
                (Some(Condition::Gone) | None, _) => "add",
                _ => "change",
            };
            events.extend(uevent(action, *device, name).map(Event::Uevent));
        }
        self.known = now;
        events.push(Event::DmChanged);
        events
    }
}

/// Readable when the state of a node's sandbox is replaced.
pub(crate) fn watch_folder(node: &Node) -> io::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    inotify.add_watch(node.folder().dir(), AddWatchFlags::IN_MOVED_TO)?;
    Ok(inotify)
}

/// As the kernel would tell of a SCSI disk.
fn uevent(action: &str, device: DeviceNumber, name: &str) -> Option<Uevent> {
    let devpath = format!("/devices/sandbox/target/block/{name}");
    let (major, minor) = (device.major, device.minor);
    let message = format!(
        "{action}@{devpath}\0ACTION={action}\0DEVPATH={devpath}\0SUBSYSTEM=block\0\
         MAJOR={major}\0MINOR={minor}\0DEVTYPE=disk\0"
    );
    Uevent::parse(message.as_bytes()).ok()
}

fn or_warn<T, E: fmt::Display>(what: &str, opened: Result<T, E>) -> Option<T> {
    opened
        .map_err(|error| tracing::error!("nothing will be heard of {what}: {error}"))
        .ok()
}

/// Uevents taken in at once.
const MAX_HEARD: usize = 64;
