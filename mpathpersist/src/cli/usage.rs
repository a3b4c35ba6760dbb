//! What is wrong with a command line, in the words the existing tools use for it.
//!
//! Here because the texts and the exit status are part of the contract; the first line of each
//! is the observed one, what a value should have looked like follows on a line of its own.
use super::options::command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use thiserror::Error;

/// Why a command line cannot be run; all of them end with
/// [`ExitStatus::SYNTAX_ERROR`](super::ExitStatus::SYNTAX_ERROR).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// There were no arguments at all.
    #[error("No parameter used")]
    NoParameter,
    /// An option that does not exist, is ambiguous, lacks its value or has one too many.
    #[error("mpathpersist: {0}")]
    Option(String),
    /// The value of an option is not what it has to be.
    #[error("bad argument to '{option}'")]
    BadArgument {
        /// The long option.
        option: &'static str,
        /// What was expected instead.
        expected: &'static str,
    },
    /// Neither `--in` nor `--out`, or both.
    #[error("choose either '--in' or '--out' ")]
    Direction,
    /// `--in` without an action.
    #[error(" No service action given for Persistent Reserve IN")]
    NoInAction,
    /// `--in` with several actions.
    #[error(" Too many service actions given; choose one only")]
    ManyInActions,
    /// `--in` with an action of PERSISTENT RESERVE OUT.
    #[error(
        " When a service action for Persistent Reserve Out is chosen the\n \
         '--out' option must be given "
    )]
    OutActionWithIn,
    /// `--out` with no action, several, or one of PERSISTENT RESERVE IN.
    #[error(
        " For Persistent Reserve Out only one appropriate\n \
         service action must be chosen "
    )]
    OutActions,
    /// A command without a device.
    #[error("No device name given ")]
    NoDevice,
    /// More arguments than the device.
    #[error("Unexpected extra argument: {0}")]
    ExtraArgument(String),
    /// A batch file that names a batch file.
    #[error("ERROR: -f option not allowed in batch file")]
    BatchInBatch,
    /// A line of a batch file that is for a sandbox: the lines before it may not have been.
    #[error("'--sandbox' is for all lines of a batch file: give it beside '--batch-file'")]
    SandboxInBatch,
    /// `--dry-run` with a command that changes nothing anyway.
    #[error("'--dry-run' is for '--out': '--in' changes nothing")]
    DryRunOfReading,
    /// `--register-move` without exactly one port to move to.
    #[error("'--register-move' needs exactly one '--transport-id'")]
    MoveTarget,
}

impl UsageError {
    /// What a value should have looked like, as a line for the person who gave it.
    pub fn expected(&self) -> Option<&'static str> {
        match self {
            Self::BadArgument { expected, .. } => Some(expected),
            _ => None,
        }
    }
}

/// Two lines that say where to read on; printed after every usage error of the process' own
/// command line.
pub const HINT: &str = "\
Usage: mpathpersist [OPTIONS] [DEVICE]
Try 'mpathpersist --help' for the options. [syntax-error]
";

/// What to do about a process without privilege.
pub const ROOT_HINT: &str = "run it as root, for example with sudo [not-root]\n";

/// What to do about a batch file that cannot be read.
pub const BATCH_HINT: &str = "check the name behind --batch-file [batch-file]\n";

/// The cause that clap found, as getopt_long words it.
pub(super) fn explain(error: &clap::Error) -> UsageError {
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => option.as_str(),
        _ => "",
    };
    UsageError::Option(match error.kind() {
        ErrorKind::UnknownArgument => explain_unknown(option),
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues => {
            format!("option '{option}' requires an argument")
        }
        ErrorKind::TooManyValues => format!("option '{option}' doesn't allow an argument"),
        ErrorKind::InvalidUtf8 => "a value is not UTF-8".to_owned(),
        _ => error.kind().to_string(),
    })
}

fn explain_unknown(option: &str) -> String {
    let Some(prefix) = option.strip_prefix("--") else {
        return format!("invalid option '{option}'");
    };
    let candidates = candidates(prefix);
    match candidates.as_slice() {
        [] | [_] => format!("unrecognized option '{option}'"),
        _ => format!(
            "option '{option}' is ambiguous; possibilities: {}",
            candidates.join(" ")
        ),
    }
}

fn candidates(prefix: &str) -> Vec<String> {
    command()
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|long| long.starts_with(prefix))
        .map(|long| format!("'--{long}'"))
        .collect()
}
