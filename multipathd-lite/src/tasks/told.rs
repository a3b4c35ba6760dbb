//! Which of the things that clients told of a map is the last one.
//!
//! Each is entered by a thread that waits for the map's lock, and threads overtake each other: a
//! node that unregisters and registers again would end as not registered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Deed, Errand, Fact};

/// The last turns, by map.
#[derive(Debug, Default)]
pub struct Told(Mutex<Turns>);

#[derive(Debug, Default)]
struct Turns {
    last: u64,
    registration: BTreeMap<String, u64>,
    holding: BTreeMap<String, u64>,
}

/// When something was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u64);

impl Told {
    /// Takes note of what an errand will enter; to be called in the order in which it was told.
    #[must_use]
    pub fn turn(&self, errand: &Errand) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.last += 1;
        let turn = turns.last;
        if let (Deed::Remember { fact, .. }, Some(wwid)) = (&errand.deed, &errand.wwid) {
            if is_of_registration(*fact) {
                turns.registration.insert(wwid.clone(), turn);
            }
            // Who is not registered does not hold.
            if *fact == Fact::NotRegistered || !is_of_registration(*fact) {
                turns.holding.insert(wwid.clone(), turn);
            }
        }
        Turn(turn)
    }

    /// Whether nothing newer was told since.
    pub(super) fn is_last(&self, turn: Turn, wwid: &str, fact: Fact) -> bool {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = match is_of_registration(fact) {
            true => turns.registration.get(wwid),
            false => turns.holding.get(wwid),
        };
        last.is_none_or(|last| *last <= turn.0)
    }
}

fn is_of_registration(fact: Fact) -> bool {
    matches!(fact, Fact::Registered(_) | Fact::NotRegistered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(told: &Told, wwid: &str, fact: Fact) -> Turn {
        told.turn(&Errand {
            wwid: Some(wwid.to_owned()),
            deed: Deed::Remember {
                name: "mpatha".to_owned(),
                fact,
            },
            reply_to: None,
        })
    }

    #[test]
    fn the_last_that_was_told_counts_for_each_map() {
        let told = Told::default();
        let holds = tell(&told, "a", Fact::Holds);
        assert!(told.is_last(holds, "a", Fact::Holds));
        let out = tell(&told, "a", Fact::NotRegistered);
        assert!(!told.is_last(holds, "a", Fact::Holds), "out since");
        let other = tell(&told, "b", Fact::NotRegistered);
        let back = tell(&told, "a", Fact::Registered(None));
        assert!(!told.is_last(out, "a", Fact::NotRegistered), "back since");
        assert!(told.is_last(back, "a", Fact::Registered(None)));
        assert!(told.is_last(other, "b", Fact::NotRegistered));
    }
}
