//! What a killed process left behind in a map's journal, and how it is completed.
//!
//! The journal says what was asked in so many fields that it can be asked again. Only requests
//! that [`recovery`] repeats are written down that far.

use mpath_state::StoredKey;
use mpath_state::record::Intent;
use pr_policy::{
    Before, Outcome, Preempt, Register, RegisterAndMove, RegisterMode, Release, Request, Reserve,
    VictimCommands, recovery,
};
use scsi_pr::{ReservationKey, ReservationType};
use serde::{Deserialize, Serialize};

/// An entry that its process did not close.
#[derive(Debug)]
pub(crate) struct Leftover(pub(crate) Intent);

/// A request in the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Written {
    Register {
        /// The key that the device was to compare; none for REGISTER AND IGNORE EXISTING KEY, and
        /// where an earlier version wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<u64>,
        new_key: u64,
        aptpl: bool,
        all_tg_pt: bool,
    },
    Reserve {
        key: u64,
        reservation_type: u8,
    },
    Release {
        key: u64,
        reservation_type: u8,
    },
    Preempt {
        key: u64,
        victim: u64,
        reservation_type: u8,
        aborts: bool,
    },
    RegisterAndMove {
        key: u64,
        new_key: u64,
        aptpl: bool,
        unregister: bool,
        relative_target_port: u16,
        transport_id: String,
    },
}

/// Registrations in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct WrittenBefore {
    registrations: usize,
    generation: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<u64>,
}

/// Enters a request into the journal's entry.
pub(crate) fn enter(intent: &mut Intent, request: &Request) {
    let written = Written::of(request).and_then(|written| serde_json::to_value(written).ok());
    if let Some(written) = written {
        intent.extra.insert(ARGUMENTS.to_owned(), written);
    }
}

/// Enters what there was before this node began to register.
pub(crate) fn enter_before(intent: &mut Intent, before: Before) {
    let written = WrittenBefore {
        registrations: before.registrations,
        generation: before.generation,
        key: before.key.map(|key| key.0),
    };
    if let Ok(written) = serde_json::to_value(written) {
        intent.extra.insert(BEFORE.to_owned(), written);
    }
}

impl Leftover {
    /// What there was before it began to register.
    pub(crate) fn before(&self) -> Option<Before> {
        let written = self.0.extra.get(BEFORE)?.clone();
        let written: WrittenBefore = serde_json::from_value(written).ok()?;
        Some(Before {
            registrations: written.registrations,
            generation: written.generation,
            key: written.key.map(ReservationKey),
        })
    }

    /// The stored key before it began; what is stored by `now` may be the one that it was to
    /// register.
    pub(crate) fn stored_before(&self, now: Option<StoredKey>) -> Option<StoredKey> {
        self.0.restore_file_key.unwrap_or(now)
    }

    /// For people.
    pub(crate) fn note(&self, map: &str) -> String {
        format!(
            "{map}: '{}' by process {} was cut off before it was done",
            self.0.request, self.0.pid
        )
    }

    /// Whether it need not be completed, since this is asked now: each says which key this node
    /// is to have. A first REGISTER that is asked again is answered as if it were the first.
    pub(crate) fn is_superseded_by(&self, request: &Request) -> bool {
        let is_register = |request: &Request| matches!(request, Request::Register(_));
        is_register(request) && self.remedy().as_ref().is_some_and(is_register)
    }

    /// Whether it is still to be completed once this was asked and ended so. What this node has
    /// asked for and got since is not taken back by something older.
    pub(crate) fn outlasts(&self, request: &Request, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Done => !self.is_settled_by(request),
            // It may have changed what was to be completed.
            Outcome::Unknown { .. }
            | Outcome::Incomplete { .. }
            | Outcome::HolderUnreachable { .. } => !self.is_superseded_by(request),
            _ => true,
        }
    }

    fn is_settled_by(&self, request: &Request) -> bool {
        let unregisters =
            matches!(request, Request::Register(register) if register.is_unregister());
        match self.remedy() {
            Some(Request::Register(_)) => self.is_superseded_by(request),
            Some(Request::Reserve(_) | Request::Release(_)) => {
                unregisters || !matches!(request, Request::Register(_))
            }
            Some(Request::RegisterAndMove(_)) => true,
            _ => false,
        }
    }

    /// The request that completes it; `None` if nothing is to be asked of the device.
    pub(crate) fn remedy(&self) -> Option<Request> {
        let written = self.0.extra.get(ARGUMENTS)?.clone();
        let written: Written = serde_json::from_value(written).ok()?;
        recovery(&written.request()?)
    }
}

impl Written {
    fn of(request: &Request) -> Option<Self> {
        Some(match request {
            Request::Register(register) => Self::Register {
                key: (register.mode == RegisterMode::Compare).then_some(register.key.0),
                new_key: register.new_key.0,
                aptpl: register.aptpl,
                all_tg_pt: register.all_tg_pt,
            },
            Request::Reserve(reserve) => Self::Reserve {
                key: reserve.key.0,
                reservation_type: reserve.reservation_type.0,
            },
            Request::Release(release) => Self::Release {
                key: release.key.0,
                reservation_type: release.reservation_type.0,
            },
            Request::Preempt(preempt) => Self::Preempt {
                key: preempt.key.0,
                victim: preempt.victim.0,
                reservation_type: preempt.reservation_type.0,
                aborts: preempt.commands == VictimCommands::Abort,
            },
            Request::RegisterAndMove(moved) => Self::RegisterAndMove {
                key: moved.key.0,
                new_key: moved.new_key.0,
                aptpl: moved.aptpl,
                unregister: moved.unregister,
                relative_target_port: moved.relative_target_port,
                transport_id: moved.transport_id.to_string(),
            },
            _ => return None,
        })
    }

    /// `None` if there is no such port.
    fn request(self) -> Option<Request> {
        Some(match self {
            Self::Register {
                key,
                new_key,
                aptpl,
                all_tg_pt,
            } => Request::Register(Register {
                mode: match key {
                    Some(_) => RegisterMode::Compare,
                    None => RegisterMode::Ignore,
                },
                key: ReservationKey(key.unwrap_or_default()),
                new_key: ReservationKey(new_key),
                aptpl,
                all_tg_pt,
                transport_ids: Vec::new(),
            }),
            Self::Reserve {
                key,
                reservation_type,
            } => Request::Reserve(Reserve {
                key: ReservationKey(key),
                reservation_type: ReservationType(reservation_type),
            }),
            Self::Release {
                key,
                reservation_type,
            } => Request::Release(Release {
                key: ReservationKey(key),
                reservation_type: ReservationType(reservation_type),
            }),
            Self::Preempt {
                key,
                victim,
                reservation_type,
                aborts,
            } => Request::Preempt(Preempt {
                key: ReservationKey(key),
                victim: ReservationKey(victim),
                reservation_type: ReservationType(reservation_type),
                commands: match aborts {
                    true => VictimCommands::Abort,
                    false => VictimCommands::Finish,
                },
            }),
            Self::RegisterAndMove {
                key,
                new_key,
                aptpl,
                unregister,
                relative_target_port,
                transport_id,
            } => Request::RegisterAndMove(RegisterAndMove {
                key: ReservationKey(key),
                new_key: ReservationKey(new_key),
                aptpl,
                unregister,
                relative_target_port,
                transport_id: transport_id.parse().ok()?,
            }),
        })
    }
}

/// Fields of the entry.
const BEFORE: &str = "before";
const ARGUMENTS: &str = "arguments";

#[cfg(test)]
mod tests {
    use super::*;
    use pr_policy::Clear;

    fn check(request: &Request, remedy: Option<&Request>) {
        let mut intent = Intent::new("test");
        enter(&mut intent, request);
        let text = serde_json::to_string(&intent).unwrap();
        let read = Leftover(serde_json::from_str(&text).unwrap());
        assert_eq!(read.remedy().as_ref(), remedy, "{text}");
    }

    #[test]
    fn what_was_asked_can_be_asked_again() {
        let register = Register {
            mode: RegisterMode::Compare,
            key: ReservationKey(1),
            new_key: ReservationKey(u64::MAX),
            aptpl: true,
            all_tg_pt: false,
            transport_ids: Vec::new(),
        };
        // Only where some nexus of this node has taken it.
        let repeated = Register {
            key: register.new_key,
            ..register.clone()
        };
        check(
            &Request::Register(register),
            Some(&Request::Register(repeated)),
        );
        let unregister = Register {
            mode: RegisterMode::Compare,
            key: ReservationKey(7),
            new_key: ReservationKey::NONE,
            aptpl: false,
            all_tg_pt: false,
            transport_ids: Vec::new(),
        };
        // Wherever there is a registration, if the key is this node's.
        let everywhere = Register {
            mode: RegisterMode::Ignore,
            ..unregister.clone()
        };
        check(
            &Request::Register(unregister),
            Some(&Request::Register(everywhere)),
        );
        let release = Request::Release(Release {
            key: ReservationKey(7),
            reservation_type: ReservationType(5),
        });
        check(&release, Some(&release));
        let moved = Request::RegisterAndMove(RegisterAndMove {
            key: ReservationKey(7),
            new_key: ReservationKey(8),
            aptpl: true,
            unregister: true,
            relative_target_port: 2,
            transport_id: "sas,5a01000000000001".parse().unwrap(),
        });
        check(&moved, Some(&moved));
        let preempt = |victim| {
            Request::Preempt(Preempt {
                key: ReservationKey(7),
                victim: ReservationKey(victim),
                reservation_type: ReservationType(5),
                commands: VictimCommands::Abort,
            })
        };
        check(&preempt(7), Some(&preempt(7)));
        check(&preempt(8), Some(&preempt(8)));
        let clear = Clear {
            key: ReservationKey(7),
        };
        check(&Request::Clear(clear), None);
    }

    #[test]
    fn a_registration_takes_the_place_of_one_that_was_cut_off() {
        let register = |key| {
            Request::Register(Register {
                mode: RegisterMode::Compare,
                key: ReservationKey::NONE,
                new_key: ReservationKey(key),
                aptpl: false,
                all_tg_pt: false,
                transport_ids: Vec::new(),
            })
        };
        let mut intent = Intent::new("test");
        enter(&mut intent, &register(1));
        let leftover = Leftover(intent);
        assert!(leftover.is_superseded_by(&register(2)));
        let clear = Clear {
            key: ReservationKey(1),
        };
        assert!(!leftover.is_superseded_by(&Request::Clear(clear)));
        assert!(!Leftover(Intent::new("old")).is_superseded_by(&register(2)));
    }

    #[test]
    fn what_was_asked_for_and_got_since_is_not_taken_back() {
        let key = ReservationKey(1);
        let reservation_type = ReservationType(5);
        let release = Request::Release(Release {
            key,
            reservation_type,
        });
        let reserve = Request::Reserve(Reserve {
            key,
            reservation_type,
        });
        let clear = Request::Clear(Clear { key });
        let register = |new_key| {
            Request::Register(Register {
                mode: RegisterMode::Compare,
                key,
                new_key: ReservationKey(new_key),
                aptpl: false,
                all_tg_pt: false,
                transport_ids: Vec::new(),
            })
        };
        let rows = [
            (&release, &reserve, Outcome::Done, false),
            (&reserve, &release, Outcome::Done, false),
            (&reserve, &clear, Outcome::Done, false),
            (&reserve, &register(0), Outcome::Done, false),
            (&reserve, &register(2), Outcome::Done, true),
            (&release, &reserve, Outcome::Conflict, true),
            (&register(2), &reserve, Outcome::Done, true),
            (&register(2), &register(3), Outcome::Done, false),
            (&register(2), &register(3), Outcome::NoUsablePath, true),
            (&register(2), &register(3), Outcome::Conflict, true),
            (
                &register(2),
                &register(3),
                Outcome::Unknown {
                    path: pr_policy::PathId(0),
                },
                false,
            ),
        ];
        for (cut_off, asked, outcome, expected) in rows {
            let mut intent = Intent::new("test");
            enter(&mut intent, cut_off);
            let leftover = Leftover(intent);
            let found = leftover.outlasts(asked, &outcome);
            assert_eq!(found, expected, "{cut_off} then {asked}: {outcome:?}");
        }
    }

    #[test]
    fn an_entry_without_arguments_has_no_remedy() {
        assert_eq!(Leftover(Intent::new("old")).remedy(), None);
    }
}
