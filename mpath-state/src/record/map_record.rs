//! The record: this node's memory of one map.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{PrStatus, StoredKey};

/// What this node did on a map and what came of it.
///
/// Fields may be added without a new version: a missing one takes its default, one that this
/// program does not know is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapRecord {
    /// Format; see [`MapRecord::VERSION`].
    pub version: u32,
    /// The map's WWID.
    pub wwid: String,
    /// The map's name when the record was written: for people.
    #[serde(default)]
    pub name: String,
    /// The key of this node's registrations, with its APTPL mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<StoredKey>,
    /// Registrations were made with ALL_TG_PT (SPC-4 6.14.3).
    #[serde(default)]
    pub all_tg_pt: bool,
    /// Registrations were last made with APTPL, also if there are none any more: the last command
    /// to register or unregister says it for all nodes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aptpl: bool,
    /// Is this node registered?
    #[serde(default)]
    pub registered: PrStatus,
    /// Does this node hold the reservation?
    #[serde(default)]
    pub holds: PrStatus,
    /// Type of the reservation that this node made (SPC-4 6.13.3.4), while it holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_type: Option<u8>,
    /// The I_T nexuses that were registered with this key, also those of paths that are gone.
    #[serde(default)]
    pub nexuses: Vec<Nexus>,
    /// Paths whose registration was being changed when that was cut off: such a one may have
    /// registered too late. Named by their ports, or by address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspects: Vec<String>,
    /// What was learnt of the array.
    #[serde(default)]
    pub traits: ArrayTraits,
    /// Fields of later programs.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl MapRecord {
    /// The format that is written.
    pub const VERSION: u32 = 1;

    /// The record of a map that nothing is known of.
    #[must_use]
    pub fn new(wwid: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            version: Self::VERSION,
            wwid: wwid.into(),
            name: name.into(),
            key: None,
            all_tg_pt: false,
            aptpl: false,
            registered: PrStatus::Unknown,
            holds: PrStatus::Unknown,
            reservation_type: None,
            nexuses: Vec::new(),
            suspects: Vec::new(),
            traits: ArrayTraits::default(),
            extra: BTreeMap::new(),
        }
    }
}

/// One I_T nexus that this node registered. Ports are texts here, in the form that the
/// programs give them; they are only compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nexus {
    /// Initiator port: `sas,5a01000000000001`, `iqn.2026-01.example:a,i,0x00023d000001`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator_port: Option<String>,
    /// Target port, in the same forms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<String>,
    /// Relative target port identifier (SPC-4 6.16.2), from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_target_port: Option<u16>,
    /// Host, channel, target and LUN of the path, `3:0:0:1`.
    #[serde(default)]
    pub hctl: String,
    /// Fields of later programs.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// What was learnt of the array's ways.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArrayTraits {
    /// It cannot take two registrations at once: send them one after the other.
    #[serde(default)]
    pub sequential_registrations: bool,
    /// It keeps one registration per initiator port, not per nexus.
    #[serde(default)]
    pub per_initiator_port: bool,
    /// Fields of later programs.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}
