//! The Device Identification page of vital product data (SPC-4 7.8.6), as `vpd_pg83` has it.

/// One designation descriptor (SPC-4 7.8.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Designator<'a> {
    /// What it names: 0 the logical unit, 1 the target port, 2 the target device.
    pub association: u8,
    /// How: 0 vendor, 1 T10, 2 EUI-64, 3 NAA, 4 relative target port, 5 target port group,
    /// 6 logical unit group, 8 SCSI name string, …
    pub designator_type: u8,
    /// 1 binary, 2 ASCII, 3 UTF-8.
    pub code_set: u8,
    /// The name.
    pub value: &'a [u8],
}

/// The descriptors of a page, head included. What is malformed ends the list: a descriptor
/// that is cut is not in it.
pub fn designators(page: &[u8]) -> impl Iterator<Item = Designator<'_>> {
    let mut rest = body(page).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_first_chunk::<4>()?;
        let [code_set, kind, _, length] = *head;
        let value = behind.get(..usize::from(length))?;
        rest = behind.get(usize::from(length)..)?;
        Some(Designator {
            association: (kind >> 4) & 0x3,
            designator_type: kind & 0xf,
            code_set: code_set & 0xf,
            value,
        })
    })
}

/// What is behind the head of the page, as long as the head says (big-endian).
fn body(page: &[u8]) -> Option<&[u8]> {
    let (head, body) = page.split_first_chunk::<4>()?;
    let [_, code, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    (code == DEVICE_IDENTIFICATION).then(|| body.get(..length).unwrap_or(body))
}

/// The RELATIVE TARGET PORT IDENTIFIER of the port the page was read through.
pub(super) fn relative_target_port(page: &[u8]) -> Option<u16> {
    port_number(page, RELATIVE_TARGET_PORT)
}

/// The TARGET PORT GROUP of the port the page was read through.
pub(super) fn target_port_group(page: &[u8]) -> Option<u16> {
    port_number(page, TARGET_PORT_GROUP)
}

/// Both are in bytes 2 and 3 of a value of 4 bytes, big-endian.
fn port_number(page: &[u8], designator_type: u8) -> Option<u16> {
    let found = designators(page).find(|designator| {
        designator.association == TARGET_PORT && designator.designator_type == designator_type
    })?;
    match *found.value {
        [_, _, high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// The SCSI name string (SPC-4 7.8.6.11) of the port the page was read through.
pub(super) fn target_port_name(page: &[u8]) -> Option<&str> {
    let found = designators(page).find(|designator| {
        designator.association == TARGET_PORT && designator.designator_type == SCSI_NAME
    })?;
    Some(
        std::str::from_utf8(found.value)
            .ok()?
            .trim_end_matches('\0'),
    )
}

/// The page's code.
const DEVICE_IDENTIFICATION: u8 = 0x83;
/// ASSOCIATION: the target port.
const TARGET_PORT: u8 = 1;
/// ASSOCIATION: the logical unit.
pub(super) const LOGICAL_UNIT: u8 = 0;
/// CODE SET: binary.
pub(super) const BINARY: u8 = 1;
/// DESIGNATOR TYPE.
pub(super) const VENDOR_SPECIFIC: u8 = 0;
/// DESIGNATOR TYPE.
pub(super) const T10_VENDOR_ID: u8 = 1;
/// DESIGNATOR TYPE.
pub(super) const EUI_64: u8 = 2;
/// DESIGNATOR TYPE.
pub(super) const NAA: u8 = 3;
const RELATIVE_TARGET_PORT: u8 = 4;
const TARGET_PORT_GROUP: u8 = 5;
const SCSI_NAME: u8 = 8;
