//! The stable name of everything that can go wrong or be worth knowing: in brackets behind the
//! sentence on stderr, as `kind` or `code` in JSON, and expanded by `mpathpersist explain CODE`.
//!
//! A name is never given to something else, and never taken away. The same table is the page
//! `docs/messages.md`.

mod failures;
mod findings;

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::paint::wrapped;

/// What a code means, for a person who has just met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// In a few words.
    pub title: &'static str,
    /// How it comes about.
    pub cause: &'static str,
    /// What it means for the data and for who may write it.
    pub data: &'static str,
    /// What to do next.
    pub next: &'static str,
}

/// Each variant with its name; what it means is a constant of the module after it.
macro_rules! codes {
    ($($variant:ident = $slug:literal, $part:ident::$text:ident;)*) => {
        /// A stable name; [`Self::slug`] is how it is written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each one's explanation is its documentation")]
        pub enum Code {
            $($variant,)*
        }

        impl Code {
            /// Every one: failures of commands first, then findings.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// How it is written.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self {
                    $(Self::$variant => $slug,)*
                }
            }

            /// What it means.
            #[must_use]
            pub const fn explanation(self) -> &'static Explanation {
                match self {
                    $(Self::$variant => &$part::$text,)*
                }
            }
        }
    };
}

codes! {
    SyntaxError = "syntax-error", failures::SYNTAX_ERROR;
    NotRoot = "not-root", failures::NOT_ROOT;
    BatchFile = "batch-file", failures::BATCH_FILE;
    KeyMismatch = "key-mismatch", failures::KEY_MISMATCH;
    NoKey = "no-key", failures::NO_KEY;
    NotReady = "not-ready", failures::NOT_READY;
    MediumError = "medium-error", failures::MEDIUM_ERROR;
    HardwareError = "hardware-error", failures::HARDWARE_ERROR;
    IllegalRequest = "illegal-request", failures::ILLEGAL_REQUEST;
    UnitAttention = "unit-attention", failures::UNIT_ATTENTION;
    InvalidOperation = "invalid-operation", failures::INVALID_OPERATION;
    AbortedCommand = "aborted-command", failures::ABORTED_COMMAND;
    NoSense = "no-sense", failures::NO_SENSE;
    MalformedResponse = "malformed-response", failures::MALFORMED_RESPONSE;
    ReservationConflict = "reservation-conflict", failures::RESERVATION_CONFLICT;
    DeviceNotFound = "device-not-found", failures::DEVICE_NOT_FOUND;
    NotABlockDevice = "not-a-block-device", failures::NOT_A_BLOCK_DEVICE;
    NotAMultipathMap = "not-a-multipath-map", failures::NOT_A_MULTIPATH_MAP;
    NoUsablePath = "no-usable-path", failures::NO_USABLE_PATH;
    Worker = "worker", failures::WORKER;
    Unreachable = "unreachable", failures::UNREACHABLE;
    Unknown = "unknown", failures::UNKNOWN;
    Incomplete = "incomplete", failures::INCOMPLETE;
    HolderUnreachable = "holder-unreachable", failures::HOLDER_UNREACHABLE;
    NotSuspended = "not-suspended", failures::NOT_SUSPENDED;
    ScsiStatus = "scsi-status", failures::SCSI_STATUS;
    Sense = "sense", failures::SENSE;
    Other = "other", failures::OTHER;
    NotConfirmed = "not-confirmed", failures::NOT_CONFIRMED;
    Preempted = "preempted", findings::PREEMPTED;
    PathWithoutKey = "path-without-key", findings::PATH_WITHOUT_KEY;
    PathWithOtherKey = "path-with-other-key", findings::PATH_WITH_OTHER_KEY;
    PathWithKey = "path-with-key", findings::PATH_WITH_KEY;
    TooFewRegistrations = "too-few-registrations", findings::TOO_FEW_REGISTRATIONS;
    LeakedKey = "leaked-key", findings::LEAKED_KEY;
    KeyNotConfigured = "key-not-configured", findings::KEY_NOT_CONFIGURED;
    KeyChanged = "key-changed", findings::KEY_CHANGED;
    SharedKey = "shared-key", findings::SHARED_KEY;
    ShutOut = "shut-out", findings::SHUT_OUT;
    HolderOnDeadPath = "holder-on-dead-path", findings::HOLDER_ON_DEAD_PATH;
    HolderOnLostPath = "holder-on-lost-path", findings::HOLDER_ON_LOST_PATH;
    HolderUnclear = "holder-unclear", findings::HOLDER_UNCLEAR;
    HolderNotRegistered = "holder-not-registered", findings::HOLDER_NOT_REGISTERED;
    SinglePathType = "single-path-type", findings::SINGLE_PATH_TYPE;
    RemembersHolding = "remembers-holding", findings::REMEMBERS_HOLDING;
    ForgotHolding = "forgot-holding", findings::FORGOT_HOLDING;
    PortsNotNamed = "ports-not-named", findings::PORTS_NOT_NAMED;
    SilentPath = "silent-path", findings::SILENT_PATH;
    MapSuspended = "map-suspended", findings::MAP_SUSPENDED;
    CommandCutOff = "command-cut-off", findings::COMMAND_CUT_OFF;
    CommandAtWork = "command-at-work", findings::COMMAND_AT_WORK;
    DaemonNotRunning = "daemon-not-running", findings::DAEMON_NOT_RUNNING;
    DaemonSilent = "daemon-silent", findings::DAEMON_SILENT;
    DaemonDisagrees = "daemon-disagrees", findings::DAEMON_DISAGREES;
    OtherDaemon = "other-daemon", findings::OTHER_DAEMON;
    TwoDaemons = "two-daemons", findings::TWO_DAEMONS;
    ConfigProblem = "config-problem", findings::CONFIG_PROBLEM;
    RecordUnreadable = "record-unreadable", findings::RECORD_UNREADABLE;
}

impl Code {
    /// Everything about it, as `explain` prints it.
    #[must_use]
    pub fn text(self) -> String {
        let Explanation {
            title,
            cause,
            data,
            next,
        } = self.explanation();
        format!(
            "{self}: {title}\n\n\
             cause            {}\n\
             for the data     {}\n\
             what to do       {}\n",
            indented(cause),
            indented(data),
            indented(next)
        )
    }

    /// The page with all of them.
    #[must_use]
    pub fn page() -> String {
        let mut page = HEAD.to_owned();
        for code in Self::ALL {
            let Explanation {
                title,
                cause,
                data,
                next,
            } = code.explanation();
            // Writing to a string does not fail.
            let _ = write!(
                page,
                "\n## `{code}`\n\n{title}.\n\n\
                 - **Cause.** {cause}\n\
                 - **For the data.** {data}\n\
                 - **What to do.** {next}\n"
            );
        }
        page
    }
}

/// Behind the first line, the words stand below each other.
fn indented(text: &str) -> String {
    wrapped(text, TEXT_COLUMNS).join("\n                 ")
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.slug())
    }
}

/// There is no such code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no code")]
pub struct NoSuchCode {
    /// What was given for one.
    pub text: String,
}

/// With or without the brackets that it stands in on stderr.
impl FromStr for Code {
    type Err = NoSuchCode;

    fn from_str(text: &str) -> Result<Self, NoSuchCode> {
        let slug = text.trim_start_matches('[').trim_end_matches(']');
        let found = Self::ALL.iter().find(|code| code.slug() == slug);
        found.copied().ok_or_else(|| NoSuchCode {
            text: text.to_owned(),
        })
    }
}

/// With the first column, 80 together.
const TEXT_COLUMNS: usize = 62;

const HEAD: &str = "\
# What the messages mean

Every failure and every finding has a name that stays. It stands in brackets at the end of the
message on stderr, and as `kind` or `code` in `--json`; `mpathpersist explain NAME` prints what is
written here. Scripts may rely on the names; the sentences around them get better with time.

This page is made from the table in the program: `INSTA_UPDATE=always cargo test -p mpathpersist`
writes it again.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_says_three_things() {
        for code in Code::ALL {
            let Explanation {
                title,
                cause,
                data,
                next,
            } = code.explanation();
            assert!(!title.ends_with('.'), "{code}: {title}");
            for text in [cause, data, next] {
                let words = text.split(' ').count();
                assert!(words > 3 && text.ends_with('.'), "{code}: {text}");
                assert!(!text.contains("  ") && !text.contains('\n'), "{code}");
            }
        }
    }

    #[test]
    fn every_code_is_found_by_its_name() {
        for code in Code::ALL {
            let slug = code.slug();
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(slug.chars().all(plain), "{slug}");
            assert_eq!(slug.parse(), Ok(*code));
            assert_eq!(format!("[{slug}]").parse(), Ok(*code));
            assert!(code.text().starts_with(slug));
        }
        assert!("no-such-thing".parse::<Code>().is_err());
    }

    #[test]
    fn no_explanation_is_there_twice() {
        for (at, code) in Code::ALL.iter().enumerate() {
            let text = code.explanation();
            let earlier = Code::ALL.iter().take(at);
            let twin = earlier.into_iter().find(|it| it.explanation() == text);
            assert_eq!(twin, None, "{code}");
        }
    }

    /// The page is written anew where snapshots are.
    #[test]
    fn the_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/messages.md");
        let page = Code::page();
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page,
            "docs/messages.md is out of date: INSTA_UPDATE=always cargo test -p mpathpersist"
        );
    }
}
