//! The WWID of a logical unit, as udev's `scsi_id` and multipath-tools form it.
//!
//! A digit for the kind of designator, then its value: `3` and an NAA name in hex, `2` and an
//! EUI-64 in hex, `1` and a T10 vendor id as text, `0` and a vendor's text, with vendor and
//! product before it; `S` and the serial number for devices without page 0x83. Maps carry it
//! in their uuid, so it must be the same to the letter.

use std::fmt::Write;
use std::path::Path;

use super::vpd::{self, Designator};
use crate::sysfs;

/// The WWID of the device in `folder`, whose page 0x83 is `page` (empty if it has none).
///
/// The kernel's `wwid` is asked first. It and `scsi_id` agree on NAA names, but the kernel
/// prefers some EUI-64s that `scsi_id` does not, and escapes text; there the page decides.
pub(super) fn read(folder: &Path, page: &[u8]) -> Option<String> {
    let wwid = sysfs::text(&folder.join("wwid"));
    if let Some(name) = wwid.as_deref().and_then(|wwid| wwid.strip_prefix("naa.")) {
        return Some(format!("3{}", name.to_ascii_lowercase()));
    }
    from_page(folder, page)
        .or_else(|| from_kernel(wwid.as_deref()?))
        .or_else(|| from_serial(folder))
}

/// From the designators of the logical unit, the best by `scsi_id`'s order: NAA with vendor
/// extension, NAA registered, other NAA, EUI-64, T10, vendor specific; binary before text.
fn from_page(folder: &Path, page: &[u8]) -> Option<String> {
    let best = vpd::designators(page)
        .filter(|designator| designator.association == vpd::LOGICAL_UNIT)
        .filter_map(|designator| Some((rank(&designator)?, designator)))
        .min_by_key(|(rank, _)| *rank)?
        .1;
    let text = || String::from_utf8_lossy(best.value).into_owned();
    let name = match (best.designator_type, best.code_set) {
        (_, vpd::BINARY) => hex(best.value),
        (vpd::VENDOR_SPECIFIC, _) => format!("{}{}", vendor_model(folder)?, text()),
        _ => text(),
    };
    Some(format!("{}{}", best.designator_type, joined(&name)))
}

/// The place in `scsi_id`'s order of preference; `None` for designators it does not use.
fn rank(designator: &Designator<'_>) -> Option<(u8, bool)> {
    let kind = match (designator.designator_type, designator.value.first()) {
        (_, None) => return None,
        (vpd::NAA, Some(first)) => match naa(*first, designator.code_set) {
            NAA_REGISTERED_EXTENDED => 0,
            NAA_REGISTERED => 1,
            _ => 2,
        },
        (vpd::EUI_64, _) => 3,
        (vpd::T10_VENDOR_ID, _) => 4,
        (vpd::VENDOR_SPECIFIC, _) => 5,
        _ => return None,
    };
    Some((kind, designator.code_set != vpd::BINARY))
}

/// The NAA field: the name's first digit, in hex or in text.
fn naa(first: u8, code_set: u8) -> u8 {
    if code_set == vpd::BINARY {
        first >> 4
    } else {
        first.wrapping_sub(b'0')
    }
}

/// From the kernel's word for it (`scsi_vpd_lun_id()` in `drivers/scsi/scsi_lib.c`).
fn from_kernel(wwid: &str) -> Option<String> {
    if let Some(name) = wwid.strip_prefix("eui.") {
        return Some(format!("2{}", name.to_ascii_lowercase()));
    }
    wwid.strip_prefix("t10.")
        .map(|name| format!("1{}", joined(name)))
}

/// From the Unit Serial Number page (SPC-4 7.8.15), for devices without page 0x83.
fn from_serial(folder: &Path) -> Option<String> {
    let page = sysfs::bytes(&folder.join("vpd_pg80")).ok()?;
    let (head, serial) = page.split_first_chunk::<4>()?;
    let [_, _, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let serial = String::from_utf8_lossy(serial.get(..length).unwrap_or(serial));
    let serial = serial.trim_matches(['\0', ' ']);
    if serial.is_empty() {
        return None;
    }
    Some(format!("S{}", joined(&(vendor_model(folder)? + serial))))
}

/// Vendor and product, in the width that INQUIRY data gives them.
fn vendor_model(folder: &Path) -> Option<String> {
    let vendor = sysfs::text(&folder.join("vendor"))?;
    let model = sysfs::text(&folder.join("model"))?;
    Some(format!("{vendor:8}{model:16}"))
}

/// Blanks around the text removed, those within it turned into one underscore each run.
fn joined(text: &str) -> String {
    text.trim_matches('\0')
        .split_ascii_whitespace()
        .collect::<Vec<_>>()
        .join("_")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// NAA 6h: IEEE Registered Extended (SPC-4 7.8.6.6.5).
const NAA_REGISTERED_EXTENDED: u8 = 6;
/// NAA 5h: IEEE Registered (SPC-4 7.8.6.6.4).
const NAA_REGISTERED: u8 = 5;
