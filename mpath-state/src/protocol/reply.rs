//! What the daemon answers.

use std::fmt;
use std::str::FromStr;

use crate::{PrStatus, StoredKey};

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `ok`: done.
    Ok,
    /// `fail`: not done. Newer versions add lines that say why.
    Fail {
        /// The lines behind `fail`; often empty.
        detail: String,
    },
    /// `timeout`: the daemon was busy for longer than `uxsock_timeout`.
    Timeout,
    /// `permission deny: need to be root`.
    PermissionDenied,
    /// Anything else: what was asked for, as it came.
    Text(String),
}

impl Reply {
    /// Reads an answer; every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        match (first.trim_end(), rest.trim()) {
            ("ok", "") => Self::Ok,
            ("fail", detail) => Self::Fail {
                detail: detail.to_owned(),
            },
            ("timeout", "") => Self::Timeout,
            (PERMISSION_DENIED, "") => Self::PermissionDenied,
            _ => Self::Text(text.to_owned()),
        }
    }

    /// The answer to `getprstatus` and `getprhold`.
    ///
    /// # Errors
    /// The daemon refused, or answered something else.
    pub fn pr_status(&self) -> Result<PrStatus, ReplyError> {
        self.value()
    }

    /// The answer to `getprkey`; `None`: no key is stored.
    ///
    /// # Errors
    /// The daemon refused, or answered something else.
    pub fn stored_key(&self) -> Result<Option<StoredKey>, ReplyError> {
        match self {
            Self::Text(text) if text.trim_end() == "none" => Ok(None),
            _ => self.value().map(Some),
        }
    }

    /// `Ok` for `ok`.
    ///
    /// # Errors
    /// The daemon refused, or answered something else.
    pub fn done(&self) -> Result<(), ReplyError> {
        match self {
            Self::Ok => Ok(()),
            other => Err(other.refusal()),
        }
    }

    fn value<T: FromStr>(&self) -> Result<T, ReplyError> {
        match self {
            Self::Text(text) => text.trim_end().parse().map_err(|_| self.refusal()),
            other => Err(other.refusal()),
        }
    }

    fn refusal(&self) -> ReplyError {
        match self {
            Self::Fail { detail } => ReplyError::Refused {
                detail: detail.clone(),
            },
            Self::Timeout => ReplyError::Timeout,
            Self::PermissionDenied => ReplyError::PermissionDenied,
            Self::Ok => ReplyError::Unexpected {
                text: "ok".to_owned(),
            },
            Self::Text(text) => ReplyError::Unexpected {
                text: text.trim_end().to_owned(),
            },
        }
    }
}

/// As a server sends it, with the line feed.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok\n"),
            Self::Fail { detail } if detail.is_empty() => f.write_str("fail\n"),
            Self::Fail { detail } => writeln!(f, "fail\n{detail}"),
            Self::Timeout => f.write_str("timeout\n"),
            Self::PermissionDenied => writeln!(f, "{PERMISSION_DENIED}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<PrStatus> for Reply {
    fn from(status: PrStatus) -> Self {
        Self::Text(format!("{status}\n"))
    }
}

/// The answer to `getprkey`.
impl From<Option<StoredKey>> for Reply {
    fn from(key: Option<StoredKey>) -> Self {
        Self::Text(key.map_or_else(|| "none\n".to_owned(), |key| format!("{key}\n")))
    }
}

/// The daemon did not do, or not tell, what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It said `fail`.
    #[error("multipathd refused{}", Behind(detail))]
    Refused {
        /// Why, if it said so.
        detail: String,
    },
    /// It said `timeout`.
    #[error("multipathd was busy for longer than uxsock_timeout")]
    Timeout,
    /// It wants root.
    #[error("multipathd does this for root only")]
    PermissionDenied,
    /// It said something that is no answer to this question; older versions print their
    /// help for a command they do not know.
    #[error("multipathd gave an answer that does not fit: '{}'", first_line(text))]
    Unexpected {
        /// The whole answer.
        text: String,
    },
}

/// `: TEXT`, or nothing.
struct Behind<'a>(&'a str);

impl fmt::Display for Behind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.0)
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// multipath-tools' words, on which clients match.
const PERMISSION_DENIED: &str = "permission deny: need to be root";

#[cfg(test)]
mod tests {
    use super::*;
    use scsi_pr::ReservationKey;

    fn check(text: &str, expected: Reply) {
        assert_eq!(Reply::parse(text), expected, "{text:?}");
    }

    #[test]
    fn answers_are_told_apart() {
        let fail = |detail: &str| Reply::Fail {
            detail: detail.to_owned(),
        };
        check("ok\n", Reply::Ok);
        check("ok", Reply::Ok);
        check("fail\n", fail(""));
        check(
            "fail\nmap or path is unavailable\n",
            fail("map or path is unavailable"),
        );
        check("timeout\n", Reply::Timeout);
        check(
            "permission deny: need to be root\n",
            Reply::PermissionDenied,
        );
        check("", Reply::Text(String::new()));
        check("okay\n", Reply::Text("okay\n".to_owned()));
        check("failed sda\n", Reply::Text("failed sda\n".to_owned()));
        check("ok\nmore\n", Reply::Text("ok\nmore\n".to_owned()));
    }

    #[test]
    fn what_a_server_sends_is_read_back() {
        let fail = Reply::Fail {
            detail: "why".to_owned(),
        };
        let text = Reply::Text("mpatha 3600\n".to_owned());
        for reply in [
            Reply::Ok,
            fail,
            Reply::Timeout,
            Reply::PermissionDenied,
            text,
        ] {
            assert_eq!(Reply::parse(&reply.to_string()), reply);
        }
        assert_eq!(
            Reply::PermissionDenied.to_string(),
            "permission deny: need to be root\n"
        );
    }

    #[test]
    fn states_and_keys_are_read() {
        for status in [PrStatus::Set, PrStatus::Unset, PrStatus::Unknown] {
            assert_eq!(
                Reply::parse(&Reply::from(status).to_string()).pr_status(),
                Ok(status)
            );
        }
        let key = StoredKey {
            key: ReservationKey(0x123abc),
            aptpl: true,
        };
        assert_eq!(Reply::parse("0x123abc:aptpl\n").stored_key(), Ok(Some(key)));
        assert_eq!(Reply::from(Some(key)), Reply::parse("0x123abc:aptpl\n"));
        assert_eq!(Reply::parse("none\n").stored_key(), Ok(None));
        assert_eq!(Reply::from(None), Reply::parse("none\n"));
        assert_eq!(
            Reply::parse("1").pr_status(),
            Ok(PrStatus::Set),
            "as 0.9.4 says it"
        );
    }

    #[test]
    fn refusals_say_what_came() {
        let said = |text: &str| Reply::parse(text).done().unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                said("fail\n"),
                said("fail\nmap not found\n"),
                said("timeout\n"),
                said("permission deny: need to be root\n"),
                said("getprhold: not found\nmultipath-tools v0.9.4\nCLI commands\n"),
            ]
            .join("\n"),
            @r"
        multipathd refused
        multipathd refused: map not found
        multipathd was busy for longer than uxsock_timeout
        multipathd does this for root only
        multipathd gave an answer that does not fit: 'getprhold: not found'
        "
        );
        assert!(Reply::Ok.pr_status().is_err());
        assert!(Reply::parse("yes\n").pr_status().is_err());
        assert!(Reply::parse("0x0\n").stored_key().is_err());
    }
}
