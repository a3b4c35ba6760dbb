//! Reads what sg_persist prints. Independent of the project's own decoders, on purpose: a witness
//! that shares them could not contradict them.

use super::{Keys, Registration, Reservation};

/// `-k`: the generation, then a key a line.
pub(super) fn parse_keys(text: &str) -> Option<Keys> {
    let keys = text.lines().filter_map(|line| hex(line.trim())).collect();
    Some(Keys {
        generation: generation(text)?,
        keys,
    })
}

/// The response of READ KEYS as od prints it: bytes in hex. Four bytes of generation, four of the
/// length that follows, then the keys, eight bytes each.
pub(super) fn parse_key_bytes(text: &str) -> Option<Keys> {
    let bytes = text
        .split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).ok());
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    let (header, keys) = bytes.split_first_chunk::<8>()?;
    let [g0, g1, g2, g3, n0, n1, n2, n3] = *header;
    let length = usize::try_from(u32::from_be_bytes([n0, n1, n2, n3])).ok()?;
    let keys = keys.get(..length)?.chunks_exact(8);
    let keys = keys.map(|key| {
        key.iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    });
    Some(Keys {
        generation: u32::from_be_bytes([g0, g1, g2, g3]),
        keys: keys.collect(),
    })
}

/// `-r`: nothing, or a key, then scope and type.
pub(super) fn parse_reservation(text: &str) -> Option<Option<Reservation>> {
    generation(text)?;
    if text.contains("NO reservation") {
        return Some(None);
    }
    let key = text
        .lines()
        .find_map(|line| hex(line.trim().strip_prefix("Key=")?))?;
    let reservation_type = text.lines().find_map(parse_type)?;
    Some(Some(Reservation {
        key,
        reservation_type,
    }))
}

/// `-s`: for each registration a group of lines, the first of which has its key.
pub(super) fn parse_full_status(text: &str) -> Option<Vec<Registration>> {
    generation(text)?;
    let mut registrations = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if let Some(key) = line.strip_prefix("Key=") {
            let mut registration = Registration {
                key: hex(key)?,
                ..Registration::default()
            };
            while let Some(line) = lines.next_if(|line| !line.starts_with("Key=")) {
                note(&mut registration, line)?;
            }
            registrations.push(registration);
        }
    }
    Some(registrations)
}

/// One line of a registration's group; `None` for a number that is none.
fn note(registration: &mut Registration, line: &str) -> Option<()> {
    if line == "All target ports bit set" {
        registration.all_target_ports = true;
    } else if let Some(port) = line.strip_prefix("Relative port address: ") {
        registration.relative_target_port = u16::try_from(hex(port)?).ok()?;
    } else if line == "<< Reservation holder >>" {
        registration.holder = true;
    } else if let Some(reservation_type) = parse_type(line) {
        registration.reservation_type = Some(reservation_type);
    } else if TRANSPORTS
        .iter()
        .any(|transport| line.starts_with(transport))
    {
        registration.transport_id = line.to_owned();
    }
    Some(())
}

/// `scope: LU_SCOPE,  type: NAME`: the type's number.
fn parse_type(line: &str) -> Option<u8> {
    let (_, name) = line.split_once("type: ")?;
    TYPES
        .iter()
        .find(|(_, known)| *known == name.trim())
        .map(|(number, _)| *number)
}

/// `PR generation=0xN`.
fn generation(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("PR generation=")?;
    let end = rest.find([',', '\n']).unwrap_or(rest.len());
    u32::try_from(hex(rest.get(..end)?.trim())?).ok()
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// How sg_persist names the types (SPC-4, table 68 "Persistent reservation type codes").
const TYPES: &[(u8, &str)] = &[
    (1, "Write Exclusive"),
    (3, "Exclusive Access"),
    (5, "Write Exclusive, registrants only"),
    (6, "Exclusive Access, registrants only"),
    (7, "Write Exclusive, all registrants"),
    (8, "Exclusive Access, all registrants"),
];

/// How the line begins that names the initiator port.
const TRANSPORTS: &[&str] = &["SAS address:", "iSCSI ", "FC-2 World Wide Name"];

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "  PR generation=0x2
    Key=0x123a
      All target ports bit clear
      Relative port address: 0x1
      << Reservation holder >>
      scope: LU_SCOPE,  type: Write Exclusive, registrants only
      Transport Id of initiator:
        SAS address: 0x5a01000000000001
    Key=0xffffffffffffffff
      All target ports bit set
      Relative port address: 0x3
      not reservation holder
      Transport Id of initiator:
        iSCSI world wide unique port id: iqn.2024-01.lab:node2,i,0x00023d000003
";

    #[test]
    fn keys() {
        let text =
            "  PR generation=0x2, 2 registered reservation keys follow:\n    0x123a\n    0x1\n";
        assert_eq!(
            parse_keys(text),
            Some(Keys {
                generation: 2,
                keys: vec![0x123a, 1]
            })
        );
        let none = "  PR generation=0x0, there are NO registered reservation keys\n";
        assert_eq!(
            parse_keys(none),
            Some(Keys {
                generation: 0,
                keys: vec![]
            })
        );
        assert_eq!(parse_keys("sg_persist: no such device"), None);
    }

    #[test]
    fn key_bytes() {
        let text = " 00 00 00 02 00 00 00 10 00 00 00 00 00 00 12 3a\n\
                    ff ff ff ff ff ff ff ff\n";
        let keys = Keys {
            generation: 2,
            keys: vec![0x123a, u64::MAX],
        };
        assert_eq!(parse_key_bytes(text), Some(keys));
        assert_eq!(
            parse_key_bytes("00 00 00 02 00 00 00 08 00"),
            None,
            "cut short"
        );
        assert_eq!(parse_key_bytes("what?"), None);
    }

    #[test]
    fn reservations() {
        let text = "  PR generation=0x2, Reservation follows:\n    Key=0x123a\n    \
                    scope: LU_SCOPE,  type: Exclusive Access, all registrants\n";
        let reservation = Reservation {
            key: 0x123a,
            reservation_type: 8,
        };
        assert_eq!(parse_reservation(text), Some(Some(reservation)));
        let none = "  PR generation=0x0, there is NO reservation held\n";
        assert_eq!(parse_reservation(none), Some(None));
        assert_eq!(parse_reservation(""), None);
    }

    #[test]
    fn full_status() {
        let registrations = parse_full_status(STATUS).expect("it is well formed");
        assert_eq!(
            registrations[0],
            Registration {
                key: 0x123a,
                all_target_ports: false,
                relative_target_port: 1,
                holder: true,
                reservation_type: Some(5),
                transport_id: "SAS address: 0x5a01000000000001".to_owned(),
            }
        );
        assert_eq!(registrations[1].key, u64::MAX);
        assert!(registrations[1].all_target_ports && !registrations[1].holder);
        assert_eq!(registrations[1].reservation_type, None);
        assert!(
            registrations[1]
                .transport_id
                .ends_with("node2,i,0x00023d000003")
        );
        assert_eq!(registrations.len(), 2);
        assert_eq!(parse_full_status("  PR generation=0x0\n"), Some(vec![]));
    }
}
