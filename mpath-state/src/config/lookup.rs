//! What counts: each keyword's value for a map, by the one order of precedence.

use super::blacklist::{Exclusion, PathIdentity};
use super::choices::{
    Failback, Features, FindMultipaths, Grouping, NoPathRetry, PathSelector, Prio,
};
use super::keyword_value::{ClientTimeout, Limit, LogLevel, Seconds};
use super::value::{Attributes, KeySetting, Sourced};
use super::{Config, MIN_UXSOCK_TIMEOUT_MS, MapIdentity, Section, Setting};

/// Values of a map.
impl Config {
    /// The reservation key of a map. Nothing configured means [`KeySetting::File`].
    #[must_use]
    pub fn reservation_key(&self, map: &MapIdentity) -> Setting<KeySetting> {
        self.first(map, |set| set.reservation_key.as_ref(), KeySetting::File)
    }

    /// Whether registrations are made with ALL_TG_PT; built in: no.
    #[must_use]
    pub fn all_tg_pt(&self, map: &MapIdentity) -> Setting<bool> {
        self.first(map, |set| set.all_tg_pt.as_ref(), false)
    }

    /// Whether a map without alias is named `mpatha` rather than by its WWID; built in: no.
    #[must_use]
    pub fn user_friendly_names(&self, map: &MapIdentity) -> Setting<bool> {
        self.first(map, |set| set.user_friendly_names.as_ref(), false)
    }

    /// The configured alias of a map.
    #[must_use]
    pub fn alias(&self, map: &MapIdentity) -> Setting<Option<String>> {
        match self.configured(map, |set| set.alias.as_ref()) {
            Some(setting) => setting.map(|name| Some(name.0)),
            None => Setting::built_in(None),
        }
    }

    /// What names given out for `user_friendly_names` begin with; built in: `mpath`.
    #[must_use]
    pub fn alias_prefix(&self, map: &MapIdentity) -> Setting<String> {
        match self.configured(map, |set| set.alias_prefix.as_ref()) {
            Some(setting) => setting.map(|name| name.0),
            None => Setting::built_in("mpath".to_owned()),
        }
    }

    /// How the paths of a map are grouped; built in: failover.
    ///
    /// `detected` is what the device suggests by itself (ALUA: by priority). Unless
    /// `detect_pgpolicy` says no, it counts for more than the `device` sections and the defaults,
    /// and for less than what is configured for the map, or overrides.
    #[must_use]
    pub fn path_grouping_policy(
        &self,
        map: &MapIdentity,
        detected: Option<Grouping>,
    ) -> Setting<Grouping> {
        let detect = self
            .first(map, |set| set.detect_pgpolicy.as_ref(), true)
            .value;
        let setting = self.first(
            map,
            |set| set.path_grouping_policy.as_ref(),
            Grouping::Failover,
        );
        match detected {
            Some(detected) if detect && !setting.is_of_map_or_overrides() => {
                Setting::built_in(detected)
            }
            _ => setting,
        }
    }

    /// What chooses among the paths of a group; built in: `service-time 0`.
    #[must_use]
    pub fn path_selector(&self, map: &MapIdentity) -> Setting<PathSelector> {
        self.first(
            map,
            |set| set.path_selector.as_ref(),
            PathSelector::service_time(),
        )
    }

    /// Where priorities come from when the device shows none, or `detect_prio` says not to look;
    /// built in: all are equal.
    #[must_use]
    pub fn prio(&self, map: &MapIdentity) -> Setting<Prio> {
        self.first(map, |set| set.prio.as_ref(), Prio::Const)
    }

    /// Whether the ALUA state that the kernel shows counts for more than `prio`; built in: yes.
    #[must_use]
    pub fn detect_prio(&self, map: &MapIdentity) -> Setting<bool> {
        self.first(map, |set| set.detect_prio.as_ref(), true)
    }

    /// When a map goes back to its best group. Nothing configured means `detected`, which is what
    /// the device suggests by itself (ALUA: at once, as multipath-tools has it for nearly all such
    /// arrays), or else never by itself.
    #[must_use]
    pub fn failback(&self, map: &MapIdentity, detected: Option<Failback>) -> Setting<Failback> {
        let built_in = detected.unwrap_or(Failback::Manual);
        self.first(map, |set| set.failback.as_ref(), built_in)
    }

    /// What happens to I/O while no path works; built in: it fails, unless `features` says
    /// `queue_if_no_path`.
    #[must_use]
    pub fn no_path_retry(&self, map: &MapIdentity) -> Setting<NoPathRetry> {
        if let Some(setting) = self.configured(map, |set| set.no_path_retry.as_ref()) {
            return setting;
        }
        self.features(map)
            .map(|features| match features.queue_if_no_path {
                true => NoPathRetry::Queue,
                false => NoPathRetry::Fail,
            })
    }

    /// Further features of a map's table; built in: none.
    #[must_use]
    pub fn features(&self, map: &MapIdentity) -> Setting<Features> {
        self.first(map, |set| set.features.as_ref(), Features::default())
    }

    /// How long I/O of a path of this protocol (`scsi:fcp`, …) waits for a lost port before it
    /// fails, so that another path is tried; built in: 5 s.
    #[must_use]
    pub fn fast_io_fail(&self, map: &MapIdentity, protocol: &str) -> Setting<Limit> {
        self.of_path(map, protocol, |set| set.fast_io_fail_tmo.as_ref())
            .unwrap_or_else(|| Setting::built_in(Limit::Seconds(FAST_IO_FAIL_S)))
    }

    /// How long a lost port is waited for before its paths are removed; `None`: what the
    /// transport has counts.
    #[must_use]
    pub fn dev_loss(&self, map: &MapIdentity, protocol: &str) -> Option<Setting<Limit>> {
        self.of_path(map, protocol, |set| set.dev_loss_tmo.as_ref())
    }

    fn of_path<T: Clone>(
        &self,
        map: &MapIdentity,
        protocol: &str,
        pick: fn(&Attributes) -> Option<&Sourced<T>>,
    ) -> Option<Setting<T>> {
        let mut entries = self.protocols.iter().rev();
        let of_protocol = entries.find_map(|entry| {
            let picked = pick(&entry.attributes).filter(|_| entry.protocol == protocol)?;
            let protocol = protocol.to_owned();
            Some(picked.setting(Section::Protocol { protocol }))
        });
        of_protocol.or_else(|| self.configured(map, pick))
    }

    /// `None`: nobody has configured it.
    fn configured<T: Clone>(
        &self,
        map: &MapIdentity,
        pick: fn(&Attributes) -> Option<&Sourced<T>>,
    ) -> Option<Setting<T>> {
        let multipath = || {
            let mut entries = self.multipaths.iter().rev();
            let found = entries
                .find_map(|entry| pick(&entry.attributes).filter(|_| entry.wwid == map.wwid));
            let wwid = map.wwid.clone();
            Some(found?.setting(Section::Multipath { wwid }))
        };
        let overrides = || Some(pick(&self.overrides)?.setting(Section::Overrides));
        let device = || {
            let mut entries = self
                .devices
                .iter()
                .rev()
                .filter(|entry| entry.is_match(map));
            entries.find_map(|entry| Some(pick(&entry.attributes)?.setting(entry.section())))
        };
        let hardware = || {
            let mut entries = self
                .hardware
                .iter()
                .rev()
                .filter(|entry| entry.is_match(map));
            let found = entries.find_map(|entry| pick(&entry.attributes))?;
            Some(Setting::built_in(found.value.clone()))
        };
        let defaults = || Some(pick(&self.defaults)?.setting(Section::Defaults));
        multipath()
            .or_else(overrides)
            .or_else(device)
            .or_else(hardware)
            .or_else(defaults)
    }

    fn first<T: Clone>(
        &self,
        map: &MapIdentity,
        pick: fn(&Attributes) -> Option<&Sourced<T>>,
        built_in: T,
    ) -> Setting<T> {
        self.configured(map, pick)
            .unwrap_or_else(|| Setting::built_in(built_in))
    }

    fn default_of<T: Clone>(sourced: Option<&Sourced<T>>, built_in: T) -> Setting<T> {
        match sourced {
            Some(sourced) => sourced.setting(Section::Defaults),
            None => Setting::built_in(built_in),
        }
    }
}

/// Values of the daemon as a whole.
impl Config {
    /// Why a device is none of the daemon's business; `None`: it is.
    #[must_use]
    pub fn exclusion(&self, path: &PathIdentity) -> Option<Exclusion> {
        self.lists.exclusion(path)
    }

    /// Whether somebody has configured rules about udev's properties. What is built in does not
    /// matter: a device without the identity that it asks for has no WWID either.
    #[must_use]
    pub fn has_property_rules(&self) -> bool {
        let lists = &self.lists;
        let mut rules = lists
            .blacklist
            .property
            .iter()
            .chain(&lists.exceptions.property);
        rules.any(|rule| rule.place.is_some())
    }

    /// Which devices become maps; built in: strict.
    #[must_use]
    pub fn find_multipaths(&self) -> Setting<FindMultipaths> {
        Self::default_of(
            self.defaults.find_multipaths.as_ref(),
            FindMultipaths::Strict,
        )
    }

    /// Shortest time between two checks of a path, in seconds; built in: 5.
    #[must_use]
    pub fn polling_interval_s(&self) -> Setting<u32> {
        let sourced = self.defaults.polling_interval.as_ref();
        Self::default_of(sourced, Seconds(POLLING_INTERVAL_S)).map(|seconds| seconds.0)
    }

    /// Longest time between two checks of a path that works, in seconds; built in: four times the
    /// shortest; never shorter than that.
    #[must_use]
    pub fn max_polling_interval_s(&self) -> Setting<u32> {
        let shortest = self.polling_interval_s().value;
        let longest = Seconds(shortest.saturating_mul(POLLING_GROWTH));
        let sourced = self.defaults.max_polling_interval.as_ref();
        Self::default_of(sourced, longest).map(|seconds| seconds.0.max(shortest))
    }

    /// How long a check may take, in seconds; built in: nothing, the device's own timeout counts.
    #[must_use]
    pub fn checker_timeout_s(&self) -> Setting<Option<u32>> {
        match &self.defaults.checker_timeout {
            Some(sourced) => sourced
                .setting(Section::Defaults)
                .map(|seconds| Some(seconds.0)),
            None => Setting::built_in(None),
        }
    }

    /// How much is logged, from 0 to 6; built in: 2.
    #[must_use]
    pub fn verbosity(&self) -> Setting<u8> {
        let sourced = self.defaults.verbosity.as_ref();
        Self::default_of(sourced, LogLevel(VERBOSITY)).map(|level| level.0)
    }

    /// How long a client waits for the daemon's answer, in milliseconds; never below
    /// [`MIN_UXSOCK_TIMEOUT_MS`].
    #[must_use]
    pub fn uxsock_timeout_ms(&self) -> Setting<u32> {
        let sourced = self.defaults.uxsock_timeout.as_ref();
        let built_in = ClientTimeout {
            ms: MIN_UXSOCK_TIMEOUT_MS,
        };
        Self::default_of(sourced, built_in).map(|timeout| timeout.ms)
    }
}

/// multipath-tools' defaults.
pub(super) const POLLING_INTERVAL_S: u32 = 5;
const FAST_IO_FAIL_S: u32 = 5;
const POLLING_GROWTH: u32 = 4;
const VERBOSITY: u8 = 2;
