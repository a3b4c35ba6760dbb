//! The two ports of an I_T nexus, from the folders that a SCSI device's folder is in.
//!
//! ```text
//! FC     …/host3/rport-3:0-1/target3:0:0/3:0:0:0
//! SAS    …/host4/port-4:0/[expander-4:0/port-4:0:1/]end_device-4:0/target4:0:0/4:0:0:0
//! iSCSI  …/host5/session1/target5:0:0/5:0:0:0
//! loop   …/tcm_loop_adapter_0/host6/target6:0:0/6:0:0:0
//! ```
//! Documented in `Documentation/ABI/` and `drivers/scsi/scsi_transport_{fc,sas,iscsi}.c`.

use std::path::Path;

use super::{Hctl, ScsiDevice, block_folder, scsi_folder, vpd};
use crate::{Roots, sysfs};

/// What a device is reached over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Fibre Channel, over Ethernet too.
    FibreChannel,
    /// Serial Attached SCSI.
    Sas,
    /// iSCSI, iSER too.
    Iscsi,
    /// The kernel's own target on the same machine (`tcm_loop`).
    Loopback,
    /// Another one; the adapter's driver if it has a name.
    Other(String),
}

/// What a port is called in the whole world. The initiator's is what a target that answers
/// READ FULL STATUS calls it by, as a TransportID (SPC-4 7.6.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PortIdentity {
    /// A port on Fibre Channel.
    FibreChannel {
        /// Its N_Port name.
        wwpn: u64,
    },
    /// A port on SAS.
    Sas {
        /// Its address.
        address: u64,
    },
    /// A port on iSCSI.
    Iscsi {
        /// The node's name, `iqn.…`, `eui.…` or `naa.…`.
        name: String,
        /// The session's identifier, 48 bits; initiators only.
        isid: Option<u64>,
        /// How the identifier is known.
        isid_origin: IsidOrigin,
        /// The portal group's tag; targets only.
        portal_group: Option<u16>,
    },
}

/// How the ISID of a session is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IsidOrigin {
    /// The kernel says so (`isid` of the session, which only some adapters' drivers show).
    Kernel,
    /// From the session's number, as open-iscsi's `iscsid` and `iscsistart` choose it for
    /// sessions in software: 0x00023d in front of the number. The kernel does not show it.
    OpenIscsi,
    /// It is not known, or it is a target's port.
    Unknown,
}

/// What the array calls itself: the node behind its ports, so that paths to one controller or one
/// array are told from those to another. Where it has no such name, the SCSI address of its port.
pub fn read_target_node(roots: &Roots, device: &ScsiDevice) -> String {
    let block = block_folder(roots, device.device).unwrap_or_default();
    let folder = scsi_folder(&block).unwrap_or(&block);
    let named =
        |name: &str, class: &str| class_text(sysfs::ancestor(folder, name)?, class, "node_name");
    let fibre_channel =
        || named("target", "fc_transport").or_else(|| named("rport-", "fc_remote_ports"));
    let port = || match device.target_port.as_ref()? {
        PortIdentity::Iscsi { name, .. } => Some(name.clone()),
        PortIdentity::Sas { address } => Some(format!("0x{address:016x}")),
        PortIdentity::FibreChannel { .. } => None,
    };
    let Hctl {
        host,
        channel,
        target,
        ..
    } = device.hctl;
    fibre_channel()
        .or_else(port)
        .unwrap_or_else(|| format!("{host}:{channel}:{target}"))
}

/// What there is to know about both ports.
pub(super) struct Ports {
    pub(super) transport: Transport,
    pub(super) initiator: Option<PortIdentity>,
    pub(super) target: Option<PortIdentity>,
}

/// The ports of the device in `folder`, whose page 0x83 is `page`.
pub(super) fn read(roots: &Roots, folder: &Path, hctl: Hctl, page: &[u8]) -> Ports {
    let host = sysfs::ancestor(folder, "host");
    let target = sysfs::ancestor(folder, "target");
    if let Some(rport) = sysfs::ancestor(folder, "rport-") {
        return fibre_channel(host, rport, target);
    }
    if let Some(end_device) = sysfs::ancestor(folder, "end_device-") {
        return sas(host, end_device);
    }
    if let Some(session) = sysfs::ancestor(folder, "session") {
        return iscsi(host, session);
    }
    if sysfs::ancestor(folder, "tcm_loop_adapter_").is_some() {
        return loopback(roots, hctl, page);
    }
    let name = host.and_then(|host| class_text(host, "scsi_host", "proc_name"));
    Ports {
        transport: Transport::Other(name.unwrap_or_default()),
        initiator: None,
        target: None,
    }
}

/// `fc_host/…/port_name`, `fc_transport/…/port_name` or `fc_remote_ports/…/port_name`.
fn fibre_channel(host: Option<&Path>, rport: &Path, target: Option<&Path>) -> Ports {
    let name = |device: &Path, class: &str| {
        let wwpn = sysfs::hex(&class_text(device, class, "port_name")?)?;
        // What drivers say of a port that is not logged in.
        (wwpn != 0 && wwpn != u64::MAX).then_some(PortIdentity::FibreChannel { wwpn })
    };
    Ports {
        transport: Transport::FibreChannel,
        initiator: host.and_then(|host| name(host, "fc_host")),
        target: target
            .and_then(|target| name(target, "fc_transport"))
            .or_else(|| name(rport, "fc_remote_ports")),
    }
}

/// `sas_device/…/sas_address` of the target. Of the initiator, that of any phy of the port
/// next to the host (they share one address), or what some drivers show of the host.
fn sas(host: Option<&Path>, end_device: &Path) -> Ports {
    let address = |text: String| {
        let address = sysfs::hex(&text)?;
        (address != 0).then_some(PortIdentity::Sas { address })
    };
    let port = host.and_then(|host| {
        end_device
            .ancestors()
            .find(|folder| folder.parent() == Some(host))
    });
    let phys = port.map(sysfs::entries).unwrap_or_default();
    let phy_address = phys
        .iter()
        .filter(|phy| {
            phy.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"phy-"))
        })
        .find_map(|phy| address(class_text(phy, "sas_phy", "sas_address")?));
    let host_address = || address(class_text(host?, "scsi_host", "host_sas_address")?);
    Ports {
        transport: Transport::Sas,
        initiator: phy_address.or_else(host_address),
        target: class_text(end_device, "sas_device", "sas_address").and_then(address),
    }
}

/// `iscsi_session/…/{initiatorname,isid,targetname,tpgt}`; adapters that do iSCSI themselves
/// have their name at `iscsi_host/…/initiatorname`.
fn iscsi(host: Option<&Path>, session: &Path) -> Ports {
    let of_session = |attribute: &str| class_text(session, "iscsi_session", attribute);
    let initiator =
        of_session("initiatorname").or_else(|| class_text(host?, "iscsi_host", "initiatorname"));
    let (isid, isid_origin) = match of_session("isid").and_then(|text| parse_isid(&text)) {
        Some(isid) => (Some(isid), IsidOrigin::Kernel),
        None => match open_iscsi_isid(host, session) {
            Some(isid) => (Some(isid), IsidOrigin::OpenIscsi),
            None => (None, IsidOrigin::Unknown),
        },
    };
    let initiator = initiator.map(|name| PortIdentity::Iscsi {
        name,
        isid,
        isid_origin,
        portal_group: None,
    });
    let target = of_session("targetname").map(|name| PortIdentity::Iscsi {
        name,
        isid: None,
        isid_origin: IsidOrigin::Unknown,
        portal_group: of_session("tpgt").and_then(|text| text.parse().ok()),
    });
    Ports {
        transport: Transport::Iscsi,
        initiator,
        target,
    }
}

/// Twelve hexadecimal digits (`iscsi_session_get_param()` in `drivers/scsi/libiscsi.c`).
fn parse_isid(text: &str) -> Option<u64> {
    let digits = text.trim_start_matches("0x");
    let isid = u64::from_str_radix(digits, 16).ok()?;
    (digits.len() == ISID_DIGITS && isid != 0).then_some(isid)
}

/// The ISID that open-iscsi gives its software sessions. Only for the drivers whose logins it
/// does itself, and numbers that certainly fit.
fn open_iscsi_isid(host: Option<&Path>, session: &Path) -> Option<u64> {
    let driver = class_text(host?, "scsi_host", "proc_name")?;
    let number = session.file_name()?.to_str()?.strip_prefix("session")?;
    let number: u16 = number.parse().ok()?;
    SOFTWARE_ISCSI
        .contains(&driver.as_str())
        .then_some(OPEN_ISCSI_ISID | u64::from(number))
}

/// The target that `tcm_loop` made for this address says in configfs who its initiator is
/// (`drivers/target/loopback/tcm_loop.c`); its own name is in the device's page 0x83 too.
/// Both have the identity of the transport that it poses as.
fn loopback(roots: &Roots, hctl: Hctl, page: &[u8]) -> Ports {
    let address = format!("{}:{}:{}", hctl.host, hctl.channel, hctl.target);
    let targets = sysfs::entries(&roots.sys.join("kernel/config/target/loopback"));
    let group = targets
        .iter()
        .flat_map(|target| sysfs::entries(target))
        .find(|group| sysfs::text(&group.join("address")).as_deref() == Some(&address));
    let initiator = group
        .as_deref()
        .and_then(|group| parse_loopback_name(&sysfs::text(&group.join("nexus"))?));
    // `naa.5f00000000000001,t,0x0000`: name, separator, portal group or controller.
    let target =
        vpd::target_port_name(page).and_then(|name| parse_loopback_name(name.split(",t,").next()?));
    Ports {
        transport: Transport::Loopback,
        initiator,
        target,
    }
}

/// `naa.` poses as SAS, `fc.` as Fibre Channel, `iqn.` as iSCSI.
fn parse_loopback_name(name: &str) -> Option<PortIdentity> {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    if let Some(address) = name.strip_prefix("naa.") {
        return hex(address).map(|address| PortIdentity::Sas { address });
    }
    if let Some(wwpn) = name.strip_prefix("fc.") {
        return hex(wwpn).map(|wwpn| PortIdentity::FibreChannel { wwpn });
    }
    name.starts_with("iqn.").then(|| PortIdentity::Iscsi {
        name: name.to_owned(),
        isid: None,
        isid_origin: IsidOrigin::Unknown,
        portal_group: None,
    })
}

/// An attribute of a device in one of its classes.
fn class_text(device: &Path, class: &str, attribute: &str) -> Option<String> {
    sysfs::text(&sysfs::class_folder(device, class)?.join(attribute))
}

/// An ISID has 48 bits.
const ISID_DIGITS: usize = 12;
/// The first half of open-iscsi's ISIDs: type and naming authority (RFC 7143 11.12.5).
const OPEN_ISCSI_ISID: u64 = 0x0000_0002_3d00_0000;
/// `proc_name` of the hosts for which open-iscsi performs the login itself.
const SOFTWARE_ISCSI: [&str; 2] = ["iscsi_tcp", "iscsi_iser"];
