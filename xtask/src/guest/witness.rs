//! The independent witness: sg_persist by one I_T nexus. Its commands also play the other nodes.

use super::witness_text::{parse_full_status, parse_key_bytes, parse_keys, parse_reservation};
use super::{Finished, Nexus, Run};
use crate::error::{Error, Result};

/// READ KEYS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// PRGENERATION.
    pub generation: u32,
    /// One per registration, in the target's order.
    pub keys: Vec<u64>,
}

/// READ RESERVATION.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// The holder's key; 0 for all registrants.
    pub key: u64,
    /// The TYPE field.
    pub reservation_type: u8,
}

/// One descriptor of READ FULL STATUS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// Its reservation key.
    pub key: u64,
    /// ALL_TG_PT.
    pub all_target_ports: bool,
    /// Which path it is, if not for all target ports: [`Nexus::relative_target_port`].
    pub relative_target_port: u16,
    /// R_HOLDER.
    pub holder: bool,
    /// The TYPE field, for a holder.
    pub reservation_type: Option<u8>,
    /// The initiator port as sg_persist prints it.
    pub transport_id: String,
}

/// How a PERSISTENT RESERVE OUT was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// GOOD.
    Done,
    /// RESERVATION CONFLICT.
    Conflict,
    /// CHECK CONDITION, ILLEGAL REQUEST.
    IllegalRequest,
}

/// sg_persist by one nexus. A unit attention is not an answer: the command is repeated.
#[derive(Debug)]
pub struct Witness {
    nexus: Nexus,
}

impl Witness {
    pub(super) fn new(nexus: Nexus) -> Self {
        Self { nexus }
    }

    /// READ KEYS; sg_persist asks for 8 KiB, so at most 1023 keys, see
    /// [`read_all_keys`](Self::read_all_keys).
    ///
    /// # Errors
    /// If the command fails or its output is not understood.
    pub fn read_keys(&self) -> Result<Keys> {
        self.read("-k", parse_keys)
    }

    /// READ KEYS with the largest allocation length, by sg_raw: up to 8190 keys.
    ///
    /// # Errors
    /// As [`read_keys`](Self::read_keys).
    pub fn read_all_keys(&self) -> Result<Keys> {
        // The first command takes the unit attentions.
        self.read_keys()?;
        let mut args = vec!["-b", "-o", "-", "-r", "65535"];
        let node = self.nexus.sg()?;
        args.extend([
            node.as_str(),
            "5e",
            "0",
            "0",
            "0",
            "0",
            "0",
            "0",
            "ff",
            "ff",
            "0",
        ]);
        let finished = Run::new("bash")
            .args(["-c", "sg_raw \"$@\" 2>/dev/null | od -An -v -tx1", "sg_raw"])
            .args(args)
            .run()?
            .succeeded()?;
        parse_key_bytes(&finished.stdout)
            .ok_or_else(|| Error::unexpected(format!("sg_raw read\n{}", finished.stdout)))
    }

    /// READ RESERVATION.
    ///
    /// # Errors
    /// As [`read_keys`](Self::read_keys).
    pub fn read_reservation(&self) -> Result<Option<Reservation>> {
        self.read("-r", parse_reservation)
    }

    /// READ FULL STATUS, sorted by path.
    ///
    /// # Errors
    /// As [`read_keys`](Self::read_keys).
    pub fn read_full_status(&self) -> Result<Vec<Registration>> {
        let mut registrations = self.read("-s", parse_full_status)?;
        registrations.sort_by_key(|registration| registration.relative_target_port);
        Ok(registrations)
    }

    /// The key of each registration by path: relative target port and key.
    ///
    /// # Errors
    /// As [`read_keys`](Self::read_keys).
    pub fn read_keys_by_port(&self) -> Result<Vec<(u16, u64)>> {
        let registrations = self.read_full_status()?;
        let pairs = registrations
            .iter()
            .map(|it| (it.relative_target_port, it.key));
        Ok(pairs.collect())
    }

    /// REGISTER AND IGNORE EXISTING KEY; 0 unregisters.
    ///
    /// # Errors
    /// If the answer is none of [`Answer`].
    pub fn register_and_ignore(&self, key: u64) -> Result<Answer> {
        self.write(&["-I", "-S", &hex(key)])
    }

    /// REGISTER.
    ///
    /// # Errors
    /// As [`register_and_ignore`](Self::register_and_ignore).
    pub fn register(&self, key: u64, new: u64) -> Result<Answer> {
        self.write(&["-G", "-K", &hex(key), "-S", &hex(new)])
    }

    /// RESERVE.
    ///
    /// # Errors
    /// As [`register_and_ignore`](Self::register_and_ignore).
    pub fn reserve(&self, key: u64, reservation_type: u8) -> Result<Answer> {
        self.write(&["-R", "-K", &hex(key), "-T", &reservation_type.to_string()])
    }

    /// RELEASE.
    ///
    /// # Errors
    /// As [`register_and_ignore`](Self::register_and_ignore).
    pub fn release(&self, key: u64, reservation_type: u8) -> Result<Answer> {
        self.write(&["-L", "-K", &hex(key), "-T", &reservation_type.to_string()])
    }

    /// CLEAR.
    ///
    /// # Errors
    /// As [`register_and_ignore`](Self::register_and_ignore).
    pub fn clear(&self, key: u64) -> Result<Answer> {
        self.write(&["-C", "-K", &hex(key)])
    }

    /// PREEMPT.
    ///
    /// # Errors
    /// As [`register_and_ignore`](Self::register_and_ignore).
    pub fn preempt(&self, key: u64, victim: u64, reservation_type: u8) -> Result<Answer> {
        let reservation_type = reservation_type.to_string();
        self.write(&[
            "-P",
            "-K",
            &hex(key),
            "-S",
            &hex(victim),
            "-T",
            &reservation_type,
        ])
    }

    /// PREEMPT AND ABORT. Not on tcm_loop, see [`super::Fabric::Loop`].
    ///
    /// # Errors
    /// As [`register_and_ignore`](Self::register_and_ignore).
    pub fn preempt_and_abort(&self, key: u64, victim: u64, reservation_type: u8) -> Result<Answer> {
        if self.nexus.fabric() == super::Fabric::Loop {
            return Err(Error::unexpected(
                "PREEMPT AND ABORT would never return over tcm_loop",
            ));
        }
        let reservation_type = reservation_type.to_string();
        self.write(&[
            "-A",
            "-K",
            &hex(key),
            "-S",
            &hex(victim),
            "-T",
            &reservation_type,
        ])
    }

    /// sg_persist `--out` with these arguments, judged.
    ///
    /// # Errors
    /// If the answer is none of [`Answer`].
    pub fn write(&self, args: &[&str]) -> Result<Answer> {
        let finished = self.run(&[&["-o"], args].concat())?;
        match finished.code() {
            0 => Ok(Answer::Done),
            CONFLICT => Ok(Answer::Conflict),
            ILLEGAL_REQUEST | INVALID_OPERATION_CODE => Ok(Answer::IllegalRequest),
            _ => Err(finished
                .succeeded()
                .err()
                .unwrap_or_else(|| Error::unexpected("success"))),
        }
    }

    /// sg_persist with these arguments and this nexus's device, whatever it says.
    ///
    /// # Errors
    /// If it cannot be run, or there is no device.
    pub fn run(&self, args: &[&str]) -> Result<Finished> {
        let node = self.nexus.sg()?;
        let attempt = || {
            Run::new("sg_persist")
                .args(["-n"])
                .args(args)
                .args([&node])
                .run()
        };
        for _ in 1..ATTEMPTS {
            let finished = attempt()?;
            if finished.code() != UNIT_ATTENTION {
                return Ok(finished);
            }
        }
        attempt()
    }

    fn read<T>(&self, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
        let finished = self.run(&["-i", what])?.succeeded()?;
        parse(&finished.stdout).ok_or_else(|| {
            Error::unexpected(format!(
                "`{}` printed\n{}",
                finished.command, finished.stdout
            ))
        })
    }
}

fn hex(key: u64) -> String {
    format!("{key:#x}")
}

// Exit statuses of sg3_utils, as its manual page sg3_utils(8) lists them.
const ILLEGAL_REQUEST: i32 = 5;
const UNIT_ATTENTION: i32 = 6;
const INVALID_OPERATION_CODE: i32 = 9;
const CONFLICT: i32 = 24;

/// Several unit attentions may be pending: one for a new session, one for what another nexus did.
const ATTEMPTS: usize = 6;
