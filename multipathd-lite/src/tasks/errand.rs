//! Small things for clients and for the kernel's maps, each in a thread of the pool.

use std::time::Duration;

use mpath_state::PrStatus;
use mpath_state::StoredKey;
use mpath_state::prkeys::PrKeysFile;
use mpath_state::protocol::Reply;
use mpath_state::record::MapRecord;
use mpathpersist::Custody;

use super::ground::{Ground, GroundError};
use super::{Deed, Errand, Fact, Tools, Turn};
use crate::event::Event;

impl Tools {
    /// Does an errand whose [`turn`](super::Told::turn) this is; its end is the event.
    #[must_use]
    pub fn run(&self, errand: Errand, turn: Turn) -> Event {
        let Errand {
            wwid,
            deed,
            reply_to,
        } = errand;
        let done = self.do_deed(wwid.as_deref().unwrap_or_default(), &deed, turn);
        let reply = done.map_or_else(
            |error| {
                tracing::warn!("{error}");
                Reply::Fail { detail: error }
            },
            |()| Reply::Ok,
        );
        Event::ErrandDone {
            wwid,
            deed,
            reply,
            reply_to,
        }
    }

    fn do_deed(&self, wwid: &str, deed: &Deed, turn: Turn) -> Result<(), String> {
        match deed {
            Deed::Message { map, text } => self.on_ground(|ground| ground.message(*map, text)),
            Deed::Limit { path, timeouts } => timeouts
                .write(&self.host.roots, *path)
                .map_err(|error| error.to_string()),
            Deed::Suspend(map) => self.on_ground(|ground| ground.suspend(*map)),
            Deed::Resume(map) => self.on_ground(|ground| ground.resume(*map)),
            Deed::StoreKey(key) => self.store_key(wwid, *key),
            Deed::Remember { name, fact } => self.remember(wwid, name, *fact, turn),
        }
    }

    fn on_ground(
        &self,
        call: impl FnOnce(&Ground<'_>) -> Result<(), GroundError>,
    ) -> Result<(), String> {
        let ground = Ground::open(&self.host).map_err(GroundError::from);
        let called = ground.and_then(|ground| call(&ground));
        called.map_err(|error| error.to_string())
    }

    fn store_key(&self, wwid: &str, key: Option<StoredKey>) -> Result<(), String> {
        let prkeys = PrKeysFile::new(&self.host.prkeys);
        let stored = match key {
            Some(key) => prkeys.set(wwid, key),
            None => prkeys.remove(wwid),
        };
        stored.map_err(|error| error.to_string())
    }

    /// The client may be our own `mpathpersist`, which has the lock and has written the record
    /// before it told: then there is nothing left to enter.
    fn remember(&self, wwid: &str, name: &str, fact: Fact, turn: Turn) -> Result<(), String> {
        let custody = Custody::take(&self.host, (wwid, name), None, LOCK_PATIENCE);
        let custody = custody.map_err(|error| error.to_string())?;
        if !self.told.is_last(turn, wwid, fact) {
            return Ok(());
        }
        let entered = custody.enter(|record| enter(record, fact));
        entered.map(drop).map_err(|error| error.to_string())
    }
}

fn enter(record: &mut MapRecord, fact: Fact) {
    match fact {
        Fact::Registered(key) => {
            record.registered = PrStatus::Set;
            record.key = record.key.or(key);
            record.aptpl = record.key.map_or(record.aptpl, |stored| stored.aptpl);
        }
        Fact::NotRegistered => {
            record.registered = PrStatus::Unset;
            record.holds = PrStatus::Unset;
            record.key = None;
            record.nexuses.clear();
        }
        Fact::Holds => record.holds = PrStatus::Set,
        Fact::HoldsNot => record.holds = PrStatus::Unset,
    }
}

/// `mpathpersist` ends within 18 s.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(20);
