//! The `--json` output: one object on one line of stdout for every PERSISTENT RESERVE IN, and
//! for every command that failed. A PERSISTENT RESERVE OUT that succeeds prints nothing.
//!
//! Stable: fields are added, never renamed or removed. Keys, addresses and SCSI codes are
//! strings in hex (`"0x123abc"`: JSON numbers cannot hold 64 bits everywhere), counts are
//! numbers. Every object has
//!
//! * `action`: `read-keys`, `read-reservation`, `report-capabilities`, `read-full-status`,
//!   `register`, `register-ignore`, `register-move`, `reserve`, `release`, `clear`, `preempt` or
//!   `preempt-abort`; `null` if the command line was not understood.
//! * `device`: the device as it was named, or `null`.
//! * `map`: the name of the map, or `null` if it was not found.
//! * `exit_status`: the exit status of this command.
//!
//! A response has `complete`: `false` if `--alloc-length` cut it, so that what is not listed may
//! exist all the same; and by action:
//!
//! * `read-keys`: `generation`, `count` (as the device says), `keys`.
//! * `read-reservation`: `generation`, `reservation`: `null` (none, if `complete`) or `key`,
//!   `scope`, `type`, `type_name`.
//! * `report-capabilities`: `compatible_reservation_handling`, `specify_initiator_ports_capable`,
//!   `all_target_ports_capable`, `persist_through_power_loss_capable`,
//!   `persist_through_power_loss_active`, `allow_commands`, and `types`: the supported types, or
//!   `null` if the device does not say.
//! * `read-full-status`: `generation`, `registrations`: each `key`, `relative_target_port` (or
//!   `null`: all target ports), `holder` (`null`, or `scope`, `type`, `type_name`) and
//!   `transport_id` with its `protocol`.
//!
//! A dry run has `dry_run`: `before`, `steps`, `after`, `ends` (`null`: with success), `notes`,
//! `what_if` and `assumed`; its exit status is that of the command.
//!
//! A failure has `failure`: `kind` (a fixed word for programs), `message` (a sentence for
//! people), `path` (the path it happened on, or `null`), `status` and `sense` (SCSI status and
//! `key`, `asc`, `ascq`, as far as the device gave any, else `null`). The kinds, by exit status:
//!
//! * 1: `syntax-error`, `not-root`, `batch-file`, `key-mismatch`, `no-key`.
//! * 2 to 9: `not-ready`, `medium-error`, `hardware-error`, `illegal-request`, `unit-attention`,
//!   `invalid-operation`, `aborted-command`, `no-sense`.
//! * 10: `malformed-response`. 11: `reservation-conflict`.
//! * 12: `device-not-found`, `not-a-block-device`.
//! * 13: `not-a-multipath-map`, `no-usable-path`. 14: `worker`.
//! * 15: `unreachable`, `unknown` (sent, but never answered), `incomplete`,
//!   `holder-unreachable`, `scsi-status`, `sense`, `other`.
use super::exit::ExitStatus;
pub use super::plan::{End, PictureBody, PlanBody};
use super::response::Response;
use super::verdict::Verdict;
use crate::code::Code;
use pr_policy::Request;
use scsi_pr::{
    Capabilities, FullStatusDescriptor, InAction, IscsiTransportId, OutAction, ReadFullStatus,
    ReadKeys, ReadReservation, ReservationType, Scope, Sense, TransportId,
};
use serde::Serialize;

/// One object: what was asked, and how it ended.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// The service action, `None` if the command line was not understood.
    pub action: Option<&'static str>,
    /// The device as it was named.
    pub device: Option<String>,
    /// The name of the map.
    pub map: Option<String>,
    /// The exit status.
    pub exit_status: u8,
    /// The answer or the failure.
    #[serde(flatten)]
    pub body: Body,
}

/// What follows the common fields.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// A response.
    Answer {
        /// Whether everything the device had to say is there.
        complete: bool,
        /// Its content.
        #[serde(flatten)]
        answer: Answer,
    },
    /// A dry run.
    Plan {
        /// How the command would go.
        dry_run: Box<PlanBody>,
    },
    /// A failure.
    Failure {
        /// What failed.
        failure: FailureBody,
    },
}

/// The content of a response, by action.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// READ KEYS.
    Keys {
        /// PRGENERATION.
        generation: u32,
        /// How many keys the device says there are.
        count: u32,
        /// The keys that it sent.
        keys: Vec<String>,
    },
    /// READ RESERVATION.
    Reservation {
        /// PRGENERATION.
        generation: u32,
        /// The reservation that is held.
        reservation: Option<Held>,
    },
    /// REPORT CAPABILITIES.
    Capabilities(CapabilitiesBody),
    /// READ FULL STATUS.
    FullStatus {
        /// PRGENERATION.
        generation: u32,
        /// Every registration.
        registrations: Vec<RegistrationBody>,
    },
}

/// A reservation with its key.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// The key of the holder, 0 for the all-registrants types.
    pub key: String,
    /// Scope and type.
    #[serde(flatten)]
    pub reservation: ReservationBody,
}

/// Scope and type of a reservation.
#[derive(Clone, Debug, Serialize)]
pub struct ReservationBody {
    /// SCOPE, 0 for the logical unit.
    pub scope: u8,
    /// TYPE.
    #[serde(rename = "type")]
    pub reservation_type: u8,
    /// The type in words.
    pub type_name: String,
}

/// REPORT CAPABILITIES, field by field.
#[derive(Clone, Debug, Serialize)]
pub struct CapabilitiesBody {
    /// CRH.
    pub compatible_reservation_handling: bool,
    /// SIP_C.
    pub specify_initiator_ports_capable: bool,
    /// ATP_C.
    pub all_target_ports_capable: bool,
    /// PTPL_C.
    pub persist_through_power_loss_capable: bool,
    /// PTPL_A.
    pub persist_through_power_loss_active: bool,
    /// ALLOW COMMANDS, 0 to 7.
    pub allow_commands: u8,
    /// The reservation types of the type mask, if it is valid.
    pub types: Option<Vec<u8>>,
}

/// One registration of READ FULL STATUS.
#[derive(Clone, Debug, Serialize)]
pub struct RegistrationBody {
    /// The key.
    pub key: String,
    /// The target port, or none: all of them.
    pub relative_target_port: Option<u16>,
    /// The reservation, if this is a holder.
    pub holder: Option<ReservationBody>,
    /// The initiator port.
    pub transport_id: TransportIdBody,
}

/// An initiator port.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "protocol", rename_all = "kebab-case")]
pub enum TransportIdBody {
    /// Fibre Channel.
    FibreChannel {
        /// N_Port_Name.
        n_port_name: String,
    },
    /// Serial Attached SCSI.
    Sas {
        /// SAS address.
        address: String,
    },
    /// iSCSI: the node, or one session of it.
    Iscsi {
        /// iSCSI name.
        name: String,
        /// ISID, if the device names the session.
        isid: Option<String>,
    },
    /// SCSI over RDMA.
    Srp {
        /// Initiator port identifier.
        initiator_port: String,
    },
    /// SCSI over IEEE 1394.
    Sbp {
        /// EUI-64.
        eui64: String,
    },
    /// SCSI over PCI Express.
    Sop {
        /// Routing id.
        routing_id: String,
    },
    /// Anything else, as it came.
    Unknown {
        /// The TransportID.
        bytes: String,
    },
}

/// What failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureBody {
    /// A fixed word.
    pub kind: &'static str,
    /// A sentence.
    pub message: String,
    /// The path it happened on.
    pub path: Option<String>,
    /// SCSI status.
    pub status: Option<String>,
    /// Sense data.
    pub sense: Option<SenseBody>,
}

/// Sense data.
#[derive(Clone, Debug, Serialize)]
pub struct SenseBody {
    /// Sense key.
    pub key: String,
    /// Additional sense code.
    pub asc: String,
    /// Additional sense code qualifier.
    pub ascq: String,
}

impl Document {
    /// The object for a response.
    pub fn answer(command: Subject<'_>, response: &Response) -> Self {
        let body = Body::Answer {
            complete: response.is_complete(),
            answer: response.into(),
        };
        Self::new(command, 0, body)
    }

    /// The object for a failed request.
    pub fn failure(command: Subject<'_>, verdict: &Verdict) -> Self {
        Self::new(
            command,
            verdict.exit.0,
            Body::Failure {
                failure: verdict.into(),
            },
        )
    }

    /// The object for a dry run.
    pub fn plan(command: Subject<'_>, exit: ExitStatus, plan: PlanBody) -> Self {
        let dry_run = Box::new(plan);
        Self::new(command, exit.0, Body::Plan { dry_run })
    }

    /// The object for a command line that could not be run at all.
    pub fn refusal(exit: ExitStatus, kind: Code, message: &str) -> Self {
        let failure = FailureBody {
            kind: kind.slug(),
            message: message.split_whitespace().collect::<Vec<_>>().join(" "),
            path: None,
            status: None,
            sense: None,
        };
        let body = Body::Failure { failure };
        Self {
            action: None,
            device: None,
            map: None,
            exit_status: exit.0,
            body,
        }
    }

    /// The object as one line, with its line feed.
    pub fn line(&self) -> String {
        // Nothing in here can fail to be written: no maps, no foreign Serialize.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    fn new(command: Subject<'_>, exit_status: u8, body: Body) -> Self {
        Self {
            action: Some(action_name(command.request)),
            device: Some(command.device.to_owned()),
            map: command.map.map(str::to_owned),
            exit_status,
            body,
        }
    }
}

/// What an object is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The request.
    pub request: &'a Request,
    /// The device as it was named.
    pub device: &'a str,
    /// The name of the map, if it was found.
    pub map: Option<&'a str>,
}

impl From<&Response> for Answer {
    fn from(response: &Response) -> Self {
        match response {
            Response::Keys(ReadKeys {
                generation,
                additional_length,
                keys,
            }) => Self::Keys {
                generation: *generation,
                count: additional_length / KEY_BYTES,
                keys: keys.iter().map(ToString::to_string).collect(),
            },
            Response::Reservation(ReadReservation {
                generation,
                reservation,
                ..
            }) => Self::Reservation {
                generation: *generation,
                reservation: reservation.map(|held| Held {
                    key: held.key.to_string(),
                    reservation: ReservationBody::new(held.scope, held.reservation_type),
                }),
            },
            Response::Capabilities(capabilities) => Self::Capabilities(capabilities.into()),
            Response::FullStatus(ReadFullStatus {
                generation,
                descriptors,
                ..
            }) => {
                let registrations = descriptors.iter().map(RegistrationBody::from).collect();
                Self::FullStatus {
                    generation: *generation,
                    registrations,
                }
            }
        }
    }
}

impl ReservationBody {
    fn new(scope: Scope, reservation_type: ReservationType) -> Self {
        let type_name = reservation_type.to_string();
        Self {
            scope: scope.0,
            reservation_type: reservation_type.0,
            type_name,
        }
    }
}

impl From<&Capabilities> for CapabilitiesBody {
    fn from(capabilities: &Capabilities) -> Self {
        let types = ReservationType::KNOWN
            .into_iter()
            .filter(|known| capabilities.type_mask.supports(*known))
            .map(|known| known.0);
        Self {
            compatible_reservation_handling: capabilities.crh,
            specify_initiator_ports_capable: capabilities.sip_c,
            all_target_ports_capable: capabilities.atp_c,
            persist_through_power_loss_capable: capabilities.ptpl_c,
            persist_through_power_loss_active: capabilities.ptpl_a,
            allow_commands: capabilities.allow_commands,
            types: capabilities.tmv.then(|| types.collect()),
        }
    }
}

impl From<&FullStatusDescriptor> for RegistrationBody {
    fn from(registration: &FullStatusDescriptor) -> Self {
        let port = registration.relative_target_port;
        let reservation =
            || ReservationBody::new(registration.scope, registration.reservation_type);
        Self {
            key: registration.key.to_string(),
            relative_target_port: (!registration.all_tg_pt).then_some(port),
            holder: registration.holder.then(reservation),
            transport_id: (&registration.transport_id).into(),
        }
    }
}

impl From<&TransportId> for TransportIdBody {
    fn from(id: &TransportId) -> Self {
        match id {
            TransportId::FibreChannel { n_port_name } => Self::FibreChannel {
                n_port_name: format!("{n_port_name:#018x}"),
            },
            TransportId::Sas { address } => Self::Sas {
                address: format!("{address:#018x}"),
            },
            TransportId::Iscsi(IscsiTransportId::Device { name }) => Self::Iscsi {
                name: name.clone(),
                isid: None,
            },
            TransportId::Iscsi(IscsiTransportId::Port { name, isid }) => Self::Iscsi {
                name: name.clone(),
                isid: Some(format!("{isid:#014x}")),
            },
            TransportId::Srp { initiator_port } => {
                let number = u128::from_be_bytes(*initiator_port);
                Self::Srp {
                    initiator_port: format!("{number:#034x}"),
                }
            }
            TransportId::Sbp { eui64 } => Self::Sbp {
                eui64: format!("{eui64:#018x}"),
            },
            TransportId::Sop { routing_id } => Self::Sop {
                routing_id: format!("{routing_id:#06x}"),
            },
            TransportId::Unknown { bytes } => Self::Unknown {
                bytes: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        }
    }
}

impl From<&Verdict> for FailureBody {
    fn from(verdict: &Verdict) -> Self {
        Self {
            kind: verdict.kind.slug(),
            message: verdict.sentence.clone(),
            path: verdict.path.clone(),
            status: verdict.status.map(|status| format!("{:#04x}", status.0)),
            sense: verdict.sense.as_ref().map(SenseBody::from),
        }
    }
}

impl From<&Sense> for SenseBody {
    fn from(sense: &Sense) -> Self {
        Self {
            key: format!("{:#03x}", sense.key.0),
            asc: format!("{:#04x}", sense.asc),
            ascq: format!("{:#04x}", sense.ascq),
        }
    }
}

/// The service action as its long option names it.
fn action_name(request: &Request) -> &'static str {
    match (request.out_action(), request.in_action()) {
        (None, Some(InAction::READ_RESERVATION)) => "read-reservation",
        (None, Some(InAction::REPORT_CAPABILITIES)) => "report-capabilities",
        (None, Some(InAction::READ_FULL_STATUS)) => "read-full-status",
        (None, _) => "read-keys",
        (Some(OutAction::REGISTER), _) => "register",
        (Some(OutAction::RESERVE), _) => "reserve",
        (Some(OutAction::RELEASE), _) => "release",
        (Some(OutAction::CLEAR), _) => "clear",
        (Some(OutAction::PREEMPT), _) => "preempt",
        (Some(OutAction::PREEMPT_AND_ABORT), _) => "preempt-abort",
        (Some(OutAction::REGISTER_AND_MOVE), _) => "register-move",
        (Some(_), _) => "register-ignore",
    }
}

/// A reservation key in a READ KEYS response (SPC-4 6.15.2).
const KEY_BYTES: u32 = 8;
