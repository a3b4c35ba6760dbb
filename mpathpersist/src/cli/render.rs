//! The text of the PERSISTENT RESERVE IN actions, byte for byte what existing scripts parse.
//!
//! Here and nowhere else: fence agents, LVM and cluster stacks match these lines with regular
//! expressions, down to the blanks at the ends of lines.
use super::response::Response;
use scsi_pr::{
    Capabilities, FullStatusDescriptor, IscsiTransportId, ReadFullStatus, ReadKeys,
    ReadReservation, ReservationType, TransportId, TypeMask,
};
use std::fmt::{self, Write};

/// A response as text, with a line feed at its end.
pub fn text(response: &Response) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = match response {
        Response::Keys(keys) => write_keys(&mut text, keys),
        Response::Reservation(reservation) => write_reservation(&mut text, reservation),
        Response::Capabilities(capabilities) => write_capabilities(&mut text, capabilities),
        Response::FullStatus(status) => write_full_status(&mut text, status),
    };
    text
}

/// Rows of 16 bytes in hex, indented by eight columns, with a gap in the middle.
pub fn hex_dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for row in bytes.chunks(16) {
        let halves: Vec<String> = row.chunks(8).map(hex_words).collect();
        text.push_str("        ");
        text.push_str(&halves.join("  "));
        text.push('\n');
    }
    text
}

fn hex_words(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The count is that of the device: after `--alloc-length` fewer keys may follow, but "0
/// registered" would be untrue.
fn write_keys(text: &mut String, keys: &ReadKeys) -> fmt::Result {
    write!(text, "  PR generation={:#x}, \t", keys.generation)?;
    match keys.additional_length / KEY_BYTES {
        0 => return writeln!(text, "0 registered reservation key."),
        1 => writeln!(text, "1 registered reservation key follows:")?,
        count => writeln!(text, "{count} registered reservation keys follow:")?,
    }
    keys.keys
        .iter()
        .try_for_each(|key| writeln!(text, "    {key}"))
}

fn write_reservation(text: &mut String, response: &ReadReservation) -> fmt::Result {
    write!(text, "  PR generation={:#x}, ", response.generation)?;
    if response.additional_length == 0 {
        return writeln!(text, "there is NO reservation held ");
    }
    writeln!(text, "Reservation follows:")?;
    let Some(held) = &response.reservation else {
        return Ok(());
    };
    writeln!(text, "   Key = {}", held.key)?;
    writeln!(
        text,
        "  scope = {}, type = {}",
        held.scope, held.reservation_type
    )
}

fn write_capabilities(text: &mut String, response: &Capabilities) -> fmt::Result {
    let bit = u8::from;
    writeln!(text, "Report capabilities response:")?;
    writeln!(
        text,
        "  Compatible Reservation Handling(CRH): {}",
        bit(response.crh)
    )?;
    writeln!(
        text,
        "  Specify Initiator Ports Capable(SIP_C): {}",
        bit(response.sip_c)
    )?;
    writeln!(
        text,
        "  All Target Ports Capable(ATP_C): {}",
        bit(response.atp_c)
    )?;
    writeln!(
        text,
        "  Persist Through Power Loss Capable(PTPL_C): {}",
        bit(response.ptpl_c)
    )?;
    writeln!(text, "  Type Mask Valid(TMV): {}", bit(response.tmv))?;
    writeln!(text, "  Allow Commands: {}", response.allow_commands)?;
    writeln!(
        text,
        "  Persist Through Power Loss Active(PTPL_A): {}",
        bit(response.ptpl_a)
    )?;
    if response.tmv {
        write_type_mask(text, response.type_mask)
    } else {
        Ok(())
    }
}

fn write_type_mask(text: &mut String, mask: TypeMask) -> fmt::Result {
    writeln!(text, "    Support indicated in Type mask:")?;
    TYPE_MASK_ORDER.into_iter().try_for_each(|supported| {
        writeln!(
            text,
            "      {supported}: {}",
            u8::from(mask.supports(supported))
        )
    })
}

fn write_full_status(text: &mut String, response: &ReadFullStatus) -> fmt::Result {
    writeln!(text, "  PR generation={:#x} ", response.generation)?;
    response
        .descriptors
        .iter()
        .try_for_each(|descriptor| write_descriptor(text, descriptor))
}

fn write_descriptor(text: &mut String, registration: &FullStatusDescriptor) -> fmt::Result {
    writeln!(text, "   Key = {}", registration.key)?;
    if registration.all_tg_pt {
        writeln!(text, "      All target ports bit set")?;
    } else {
        writeln!(text, "      All target ports bit clear")?;
        writeln!(
            text,
            "      Relative port address: {:#x}",
            registration.relative_target_port
        )?;
    }
    if registration.holder {
        let FullStatusDescriptor {
            scope,
            reservation_type,
            ..
        } = registration;
        writeln!(text, "      << Reservation holder >>")?;
        writeln!(text, "      scope: {scope},  type: {reservation_type}")?;
    } else {
        writeln!(text, "      not reservation holder")?;
    }
    write_transport_id(text, &registration.transport_id)
}

/// FC, SAS and iSCSI as ever; the other protocols, of which multipath-tools prints nothing, in
/// the same manner.
fn write_transport_id(text: &mut String, id: &TransportId) -> fmt::Result {
    match id {
        TransportId::FibreChannel { n_port_name } => {
            dump(text, "FCP-2", &n_port_name.to_be_bytes())
        }
        TransportId::Sas { address } => dump(text, "SAS", &address.to_be_bytes()),
        TransportId::Iscsi(IscsiTransportId::Device { name }) => {
            writeln!(text, "   iSCSI name: {}", printable(name))
        }
        TransportId::Iscsi(IscsiTransportId::Port { name, isid }) => {
            let name = printable(name);
            writeln!(
                text,
                "   iSCSI world wide unique port id: {name},i,{isid:#014x}"
            )
        }
        TransportId::Srp { initiator_port } => dump(text, "SRP", initiator_port),
        TransportId::Sbp { eui64 } => dump(text, "SBP", &eui64.to_be_bytes()),
        TransportId::Sop { routing_id } => dump(text, "SOP", &routing_id.to_be_bytes()),
        TransportId::Unknown { bytes } => dump(text, "TransportID", bytes),
    }
}

/// One line for up to 16 bytes, as for the names of ports; further rows below.
fn dump(text: &mut String, protocol: &str, bytes: &[u8]) -> fmt::Result {
    write!(text, "   {protocol} {}", hex_dump(bytes))
}

/// A name that cannot play with the terminal: control characters are a bad device's doing.
fn printable(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// The order of the bits in the type mask (SPC-4 table 265), which is that of the lines.
const TYPE_MASK_ORDER: [ReservationType; 6] = [
    ReservationType::WRITE_EXCLUSIVE_ALL_REGISTRANTS,
    ReservationType::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY,
    ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
    ReservationType::EXCLUSIVE_ACCESS,
    ReservationType::WRITE_EXCLUSIVE,
    ReservationType::EXCLUSIVE_ACCESS_ALL_REGISTRANTS,
];
/// A reservation key in a READ KEYS response (SPC-4 6.15.2).
const KEY_BYTES: u32 = 8;
