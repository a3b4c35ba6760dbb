//! Which keyword belongs to which section, and which one was meant by a misspelt one.
//! Taken from the manual page multipath.conf(5) of multipath-tools 0.9 to 0.14.

/// A place in the configuration that has its own set of keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Top,
    Defaults,
    Blacklist,
    BlacklistDevice,
    Exceptions,
    ExceptionsDevice,
    Devices,
    Device,
    Overrides,
    Protocol,
    Multipaths,
    Multipath,
    /// The file with settings of our own.
    Settings,
    Hook,
}

/// What a word at the beginning of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It begins a section.
    Section(Scope),
    /// Its value is taken.
    Meant,
    /// multipath-tools takes its value; it means nothing here.
    Known,
    /// Nobody knows it here.
    Unknown,
}

impl Scope {
    pub(super) fn meaning(self, word: &str) -> Meaning {
        if let Some((_, scope)) = self.sections().iter().find(|(name, _)| *name == word) {
            Meaning::Section(*scope)
        } else if self.meant().any(|meant| meant == word) {
            Meaning::Meant
        } else if self.known().any(|known| known == word) {
            Meaning::Known
        } else {
            Meaning::Unknown
        }
    }

    /// As the section is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Top => "the file, outside of all sections",
            Self::Defaults => "defaults",
            Self::Blacklist => "blacklist",
            Self::BlacklistDevice => "blacklist device",
            Self::Exceptions => "blacklist_exceptions",
            Self::ExceptionsDevice => "blacklist_exceptions device",
            Self::Devices => "devices",
            Self::Device => "device",
            Self::Overrides => "overrides",
            Self::Protocol => "protocol",
            Self::Multipaths => "multipaths",
            Self::Multipath => "multipath",
            Self::Settings => "mpath-pr.conf",
            Self::Hook => "hook",
        }
    }

    /// A section that is about one device or map.
    pub(super) const fn is_entry(self) -> bool {
        matches!(
            self,
            Self::Device
                | Self::Multipath
                | Self::Protocol
                | Self::BlacklistDevice
                | Self::ExceptionsDevice
                | Self::Hook
        )
    }

    /// A section whose lines add up.
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::Blacklist | Self::Exceptions)
    }

    /// What was probably meant by an unknown word: the nearest word of this scope, or where
    /// else the word is known.
    pub(super) fn suggestion(self, word: &str) -> String {
        let elsewhere: Vec<&str> = Self::ALL
            .into_iter()
            .filter(|scope| scope.meaning(word) != Meaning::Unknown)
            .map(Self::name)
            .collect();
        if !elsewhere.is_empty() {
            return format!("; it belongs to {}", elsewhere.join(", "));
        }
        did_you_mean(self.words(), word)
    }

    /// The places in which the value of a word is taken.
    pub(super) fn of_meant(word: &str) -> impl Iterator<Item = Self> {
        let is_place = move |scope: &Self| scope.meant().any(|meant| meant == word);
        Self::ALL.into_iter().filter(is_place)
    }

    /// All words whose values are taken somewhere.
    #[cfg(test)]
    pub(super) fn all_meant() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().flat_map(Self::meant)
    }

    /// All words of multipath-tools that mean nothing somewhere.
    pub(super) fn all_known() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().flat_map(Self::known)
    }

    fn words(self) -> impl Iterator<Item = &'static str> {
        let sections = self.sections().iter().map(|(name, _)| *name);
        sections.chain(self.meant()).chain(self.known())
    }

    const fn sections(self) -> &'static [(&'static str, Self)] {
        match self {
            Self::Top => &[
                ("defaults", Self::Defaults),
                ("blacklist", Self::Blacklist),
                ("blacklist_exceptions", Self::Exceptions),
                ("devices", Self::Devices),
                ("overrides", Self::Overrides),
                ("multipaths", Self::Multipaths),
            ],
            Self::Blacklist => &[("device", Self::BlacklistDevice)],
            Self::Exceptions => &[("device", Self::ExceptionsDevice)],
            Self::Devices => &[("device", Self::Device)],
            Self::Overrides => &[("protocol", Self::Protocol)],
            Self::Multipaths => &[("multipath", Self::Multipath)],
            Self::Settings => &[("hook", Self::Hook)],
            _ => &[],
        }
    }

    /// Keywords whose values are taken; `vendor`, `product` and `wwid` say what a section is
    /// for.
    fn meant(self) -> impl Iterator<Item = &'static str> {
        let (own, per_path, per_map): (&[&str], &[&str], &[&str]) = match self {
            Self::Defaults => (MEANT_DEFAULTS, MEANT_PER_PATH, MEANT_PER_MAP),
            Self::Device => (MEANT_DEVICE, MEANT_PER_PATH, MEANT_PER_MAP),
            Self::Overrides => (&["reservation_key"], MEANT_PER_PATH, MEANT_PER_MAP),
            Self::Multipath => (MEANT_MULTIPATH, &[], MEANT_PER_MAP),
            Self::Blacklist | Self::Exceptions => (BLACKLIST, &[], &[]),
            Self::BlacklistDevice | Self::ExceptionsDevice => (&["vendor", "product"], &[], &[]),
            Self::Settings => (&["metrics_file"], &[], &[]),
            Self::Hook => (&["command", "events", "timeout"], &[], &[]),
            Self::Protocol => (MEANT_PROTOCOL, &[], &[]),
            Self::Top | Self::Devices | Self::Multipaths => (&[], &[], &[]),
        };
        own.iter().chain(per_path).chain(per_map).copied()
    }

    fn known(self) -> impl Iterator<Item = &'static str> {
        let (own, per_path, per_map): (&[&str], &[&str], &[&str]) = match self {
            Self::Defaults => (DEFAULTS, PER_PATH, PER_MAP),
            Self::Device => (DEVICE, PER_PATH, PER_MAP),
            Self::Overrides => (&["hardware_handler"], PER_PATH, PER_MAP),
            Self::Multipath => (&["mode", "uid", "gid"], &[], PER_MAP),
            Self::Protocol => (PROTOCOL, &[], &[]),
            _ => (&[], &[], &[]),
        };
        own.iter().chain(per_path).chain(per_map).copied()
    }

    const ALL: [Self; 14] = [
        Self::Top,
        Self::Defaults,
        Self::Blacklist,
        Self::BlacklistDevice,
        Self::Exceptions,
        Self::ExceptionsDevice,
        Self::Devices,
        Self::Device,
        Self::Overrides,
        Self::Protocol,
        Self::Multipaths,
        Self::Multipath,
        Self::Settings,
        Self::Hook,
    ];
}

/// The nearest of `known`, if it is near enough.
pub(super) fn did_you_mean(known: impl Iterator<Item = &'static str>, word: &str) -> String {
    let nearest = known.min_by_key(|known| distance(known, word));
    match nearest.filter(|known| distance(known, word) <= MAX_DISTANCE) {
        Some(known) => format!("; did you mean '{known}'?"),
        None => String::new(),
    }
}

/// How many letters were added, left out or replaced (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, left) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(index + 1);
        for (right, pair) in b.iter().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            let before = next.last().copied().unwrap_or_default();
            let replaced = diagonal + usize::from(left != *right);
            next.push(replaced.min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// Beyond three letters a suggestion is a guess.
const MAX_DISTANCE: usize = 3;

/// In defaults, device, overrides and multipath.
const MEANT_PER_MAP: &[&str] = &[
    "path_grouping_policy",
    "path_selector",
    "prio",
    "failback",
    "no_path_retry",
    "features",
    "user_friendly_names",
];

/// In defaults, device and overrides.
const MEANT_PER_PATH: &[&str] = &[
    "alias_prefix",
    "detect_prio",
    "detect_pgpolicy",
    "all_tg_pt",
    "fast_io_fail_tmo",
    "dev_loss_tmo",
];

const MEANT_DEFAULTS: &[&str] = &[
    "verbosity",
    "polling_interval",
    "max_polling_interval",
    "checker_timeout",
    "find_multipaths",
    "reservation_key",
    "uxsock_timeout",
];

const MEANT_DEVICE: &[&str] = &["vendor", "product", "product_blacklist"];

const MEANT_MULTIPATH: &[&str] = &["wwid", "alias", "reservation_key"];

/// In defaults, device, overrides and multipath.
const PER_MAP: &[&str] = &[
    "prio_args",
    "rr_weight",
    "rr_min_io",
    "rr_min_io_rq",
    "flush_on_last_del",
    "deferred_remove",
    "delay_watch_checks",
    "delay_wait_checks",
    "san_path_err_threshold",
    "san_path_err_forget_rate",
    "san_path_err_recovery_time",
    "marginal_path_err_sample_time",
    "marginal_path_err_rate_threshold",
    "marginal_path_err_recheck_gap_time",
    "marginal_path_double_failed_time",
    "skip_kpartx",
    "max_sectors_kb",
    "ghost_delay",
    "purge_disconnected",
    "pg_timeout",
];

/// In defaults, device and overrides.
const PER_PATH: &[&str] = &[
    "uid_attribute",
    "getuid_callout",
    "path_checker",
    "checker",
    "eh_deadline",
    "retain_attached_hw_handler",
    "detect_checker",
    "detect_pgpolicy_use_tpg",
    "recheck_wwid",
];

const DEFAULTS: &[&str] = &[
    "reassign_maps",
    "udev_dir",
    "multipath_dir",
    "selector",
    "uid_attrs",
    "max_fds",
    "mode",
    "uid",
    "gid",
    "allow_usb_devices",
    "bindings_file",
    "wwids_file",
    "prkeys_file",
    "config_dir",
    "log_checker_err",
    "force_sync",
    "strict_timing",
    "partition_delimiter",
    "find_multipaths_timeout",
    "retrigger_tries",
    "retrigger_delay",
    "missing_uev_wait_timeout",
    "disable_changed_wwids",
    "remove_retries",
    "enable_foreign",
    "marginal_pathgroups",
    "queue_without_daemon",
    "auto_resize",
    "default_selector",
    "default_path_grouping_policy",
    "default_uid_attribute",
    "default_getuid_callout",
    "default_features",
    "default_path_checker",
];

const DEVICE: &[&str] = &["revision", "hardware_handler", "vpd_vendor"];

const BLACKLIST: &[&str] = &["devnode", "wwid", "property", "protocol"];

const MEANT_PROTOCOL: &[&str] = &["type", "fast_io_fail_tmo", "dev_loss_tmo"];

const PROTOCOL: &[&str] = &["eh_deadline"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested() {
        let check = |scope: Scope, word: &str, expected: &str| {
            assert_eq!(scope.suggestion(word), expected, "{word}");
        };
        check(
            Scope::Defaults,
            "reservation_keys",
            "; did you mean 'reservation_key'?",
        );
        check(
            Scope::Defaults,
            "poling_interval",
            "; did you mean 'polling_interval'?",
        );
        check(Scope::Top, "default", "; did you mean 'defaults'?");
        check(Scope::Multipaths, "alias", "; it belongs to multipath");
        check(
            Scope::Device,
            "reservation_key",
            "; it belongs to defaults, overrides, multipath",
        );
        check(Scope::Defaults, "frobnicate_everything", "");
    }

    #[test]
    fn no_word_stands_twice_in_a_scope() {
        for scope in Scope::ALL {
            let mut words: Vec<_> = scope.words().collect();
            words.sort_unstable();
            let twice: Vec<_> = words.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(twice.is_empty(), "{scope:?}: {twice:?}");
        }
    }

    #[test]
    fn distances_are_counted() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }
}
