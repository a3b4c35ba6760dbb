//! Which key a request may use: the rule that keeps one map from running on two keys.

use scsi_pr::ReservationKey;

use crate::request::{Register, RegisterMode, Request};

/// The key that this node is configured to use on a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfiguredKey {
    /// `reservation_key 0x…` in the configuration: only this key may be registered.
    Fixed(ReservationKey),
    /// `reservation_key file`: registering decides, and the key is stored.
    Stored(Option<ReservationKey>),
}

/// What becomes of the stored key when a request runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlan {
    /// The stored key stays as it is.
    Keep,
    /// The key is stored before the first command is sent, and put back if the request fails.
    Store {
        /// The key to store.
        key: ReservationKey,
    },
    /// The stored key is removed once the request has succeeded.
    Forget,
}

/// Why a request may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// Another key is configured.
    #[error("configured reservation key doesn't match: {configured}")]
    Mismatch {
        /// The key that is configured or stored.
        configured: ReservationKey,
        /// The key that the request would use.
        given: ReservationKey,
    },
    /// No key is configured or stored.
    #[error("no configured reservation key")]
    NotConfigured,
}

/// Decides whether `request` may use its key on a map with this configuration.
///
/// # Errors
/// The request names a key that this node must not use on the map.
pub fn authorise(request: &Request, configured: ConfiguredKey) -> Result<KeyPlan, KeyRefusal> {
    match request {
        Request::Read(_) => Ok(KeyPlan::Keep),
        Request::Register(register) => authorise_register(register, configured),
        Request::Clear(clear) => {
            check(clear.key, configured)?;
            Ok(forget(configured))
        }
        Request::Reserve(reserve) => keep(reserve.key, configured),
        Request::Release(release) => keep(release.key, configured),
        Request::Preempt(preempt) => keep(preempt.key, configured),
        Request::RegisterAndMove(register_and_move) => keep(register_and_move.key, configured),
    }
}

fn authorise_register(
    register: &Register,
    configured: ConfiguredKey,
) -> Result<KeyPlan, KeyRefusal> {
    if register.is_unregister() {
        return Ok(forget(configured));
    }
    if may_store(register, configured) {
        return Ok(KeyPlan::Store {
            key: register.new_key,
        });
    }
    keep(register.new_key, configured)
}

fn may_store(register: &Register, configured: ConfiguredKey) -> bool {
    match configured {
        ConfiguredKey::Fixed(_) => false,
        ConfiguredKey::Stored(None) => true,
        ConfiguredKey::Stored(Some(stored)) => {
            register.mode == RegisterMode::Ignore
                || register.key.is_none()
                || register.key == stored
        }
    }
}

fn keep(given: ReservationKey, configured: ConfiguredKey) -> Result<KeyPlan, KeyRefusal> {
    check(given, configured)?;
    Ok(KeyPlan::Keep)
}

fn check(given: ReservationKey, configured: ConfiguredKey) -> Result<(), KeyRefusal> {
    let configured = match configured {
        ConfiguredKey::Fixed(key) | ConfiguredKey::Stored(Some(key)) => key,
        ConfiguredKey::Stored(None) => return Err(KeyRefusal::NotConfigured),
    };
    if given == configured {
        Ok(())
    } else {
        Err(KeyRefusal::Mismatch { configured, given })
    }
}

fn forget(configured: ConfiguredKey) -> KeyPlan {
    match configured {
        ConfiguredKey::Fixed(_) => KeyPlan::Keep,
        ConfiguredKey::Stored(_) => KeyPlan::Forget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Clear, Reserve};
    use alloc::vec::Vec;
    use scsi_pr::ReservationType;

    const FIXED: ConfiguredKey = ConfiguredKey::Fixed(ReservationKey(0xa));
    const STORED: ConfiguredKey = ConfiguredKey::Stored(Some(ReservationKey(0xa)));
    const EMPTY: ConfiguredKey = ConfiguredKey::Stored(None);

    fn register(mode: RegisterMode, key: u64, new_key: u64) -> Request {
        Request::Register(Register {
            mode,
            key: ReservationKey(key),
            new_key: ReservationKey(new_key),
            aptpl: false,
            all_tg_pt: false,
            transport_ids: Vec::new(),
        })
    }

    fn reserve(key: u64) -> Request {
        Request::Reserve(Reserve {
            key: ReservationKey(key),
            reservation_type: ReservationType::WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
        })
    }

    fn clear(key: u64) -> Request {
        Request::Clear(Clear {
            key: ReservationKey(key),
        })
    }

    fn store(key: u64) -> Result<KeyPlan, KeyRefusal> {
        Ok(KeyPlan::Store {
            key: ReservationKey(key),
        })
    }

    fn mismatch(given: u64) -> Result<KeyPlan, KeyRefusal> {
        Err(KeyRefusal::Mismatch {
            configured: ReservationKey(0xa),
            given: ReservationKey(given),
        })
    }

    #[test]
    fn the_whole_table() {
        use RegisterMode::{Compare, Ignore};
        let keep = Ok(KeyPlan::Keep);
        let forget = Ok(KeyPlan::Forget);
        let missing = Err(KeyRefusal::NotConfigured);
        let rows = [
            (register(Compare, 0, 0xa), [keep, store(0xa), store(0xa)]),
            (
                register(Compare, 0, 0xb),
                [mismatch(0xb), store(0xb), store(0xb)],
            ),
            (
                register(Compare, 0xa, 0xb),
                [mismatch(0xb), store(0xb), store(0xb)],
            ),
            (
                register(Compare, 0xc, 0xb),
                [mismatch(0xb), mismatch(0xb), store(0xb)],
            ),
            (register(Compare, 0xc, 0xa), [keep, keep, store(0xa)]),
            (
                register(Ignore, 0xc, 0xb),
                [mismatch(0xb), store(0xb), store(0xb)],
            ),
            (register(Compare, 0xa, 0), [keep, forget, forget]),
            (register(Ignore, 0, 0), [keep, forget, forget]),
            (reserve(0xa), [keep, keep, missing]),
            (reserve(0xb), [mismatch(0xb), mismatch(0xb), missing]),
            (clear(0xa), [keep, forget, missing]),
            (clear(0xb), [mismatch(0xb), mismatch(0xb), missing]),
        ];
        for (request, expected) in rows {
            let got = [FIXED, STORED, EMPTY].map(|key| authorise(&request, key));
            assert_eq!(got, expected, "{request:?}");
        }
    }
}
