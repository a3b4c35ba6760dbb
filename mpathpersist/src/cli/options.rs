//! The options of the command line as clap sees them: names, shorts, value names, help.
//!
//! Here because the spelling is a contract that fence agents and cluster stacks script against;
//! what the values *mean* is decided in [`super::args`]. Values are taken as plain text on
//! purpose, so that a bad one is reported in the words the existing tools use.
use clap::{ArgAction, CommandFactory, Parser};
use std::ffi::OsString;

/// The most TransportIDs one command takes (the limit of the existing tools).
pub const MAX_TRANSPORT_IDS: usize = 32;

/// Every option of one command line, still as text.
///
/// `infer_long_args` gives the unambiguous prefixes of `getopt_long`, `args_override_self` its
/// "the last one wins". The hidden aliases keep the prefixes that were unambiguous before
/// `--timeout`, `--register-move`, `--relative-target-port` and `--dry-run` existed.
#[derive(Debug, Default, Parser)]
#[command(
    name = "mpathpersist",
    about = "SCSI persistent reservations on a dm-multipath map, as if it were one disk",
    override_usage = "mpathpersist [OPTIONS] [DEVICE]",
    after_help = AFTER_HELP,
    infer_long_args = true,
    args_override_self = true,
    disable_version_flag = true,
    disable_help_flag = true,
    help_template = "{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}"
)]
pub struct Options {
    /// Send a PERSISTENT RESERVE IN command
    #[arg(short = 'i', long = "in")]
    pub pr_in: bool,
    /// Send a PERSISTENT RESERVE OUT command
    #[arg(short = 'o', long = "out")]
    pub pr_out: bool,
    /// The map: /dev/mapper/NAME, /dev/dm-N, or any block node or symlink of it
    #[arg(
        short,
        long,
        alias = "d",
        value_name = "DEVICE",
        allow_hyphen_values = true
    )]
    pub device: Option<OsString>,
    /// The same as --device
    #[arg(value_name = "DEVICE", hide = true)]
    pub positional: Vec<OsString>,
    /// Run the command lines in FILE, one a line
    #[arg(short = 'f', long, value_name = "FILE", allow_hyphen_values = true)]
    pub batch_file: Option<OsString>,
    /// Log level: 0 critical, 1 error, 2 warning, 3 info, 4 trace
    #[arg(short, long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub verbose: Option<String>,
    /// Print the response in hex too (on stderr)
    #[arg(short = 'H', long)]
    pub hex: bool,
    /// Print one JSON object: the response, or what failed
    #[arg(long)]
    pub json: bool,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub timeout: Option<String>,
    /// Use one path at a time
    #[arg(long)]
    pub sequential: bool,
    /// Act even if it cannot be shown whose registration or reservation is in the way
    #[arg(long)]
    pub force: bool,
    /// Show what a PERSISTENT RESERVE OUT would do, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Use the simulated SAN in DIR, as the node DIR/NODE; see 'mpathpersist sandbox --help'
    #[arg(long, value_name = "DIR", allow_hyphen_values = true)]
    pub sandbox: Option<OsString>,
    /// Print this help
    #[arg(short, long, action = ArgAction::Help)]
    pub help: Option<bool>,

    /// READ KEYS: all registered keys
    #[arg(short = 'k', long, help_heading = IN_HEADING)]
    pub read_keys: bool,
    /// READ RESERVATION: holder, scope and type
    #[arg(short = 'r', long, help_heading = IN_HEADING)]
    pub read_reservation: bool,
    /// REPORT CAPABILITIES: what the device supports
    #[arg(short = 'c', long, help_heading = IN_HEADING)]
    pub report_capabilities: bool,
    /// READ FULL STATUS: every registration with its ports
    #[arg(short = 's', long, help_heading = IN_HEADING)]
    pub read_full_status: bool,
    /// At most this many bytes of response (decimal, 0 to 8192)
    #[arg(short = 'l', long, value_name = "LEN", help_heading = IN_HEADING,
        allow_hyphen_values = true)]
    pub alloc_length: Option<String>,

    /// REGISTER: set, change or (SARK 0) remove this node's key
    #[arg(short = 'G', long, help_heading = OUT_HEADING)]
    pub register: bool,
    /// REGISTER AND IGNORE EXISTING KEY
    #[arg(short = 'I', long, alias = "register-", help_heading = OUT_HEADING)]
    pub register_ignore: bool,
    /// REGISTER AND MOVE the reservation to the one --transport-id
    #[arg(long, help_heading = OUT_HEADING)]
    pub register_move: bool,
    /// RESERVE
    #[arg(short = 'R', long, help_heading = OUT_HEADING)]
    pub reserve: bool,
    /// RELEASE
    #[arg(short = 'L', long, alias = "rel", help_heading = OUT_HEADING)]
    pub release: bool,
    /// CLEAR: remove the reservation and every registration, of all nodes
    #[arg(short = 'C', long, help_heading = OUT_HEADING)]
    pub clear: bool,
    /// PREEMPT: remove the registrations of SARK
    #[arg(short = 'P', long, help_heading = OUT_HEADING)]
    pub preempt: bool,
    /// PREEMPT AND ABORT: the same, and abort their commands
    #[arg(short = 'A', long, help_heading = OUT_HEADING)]
    pub preempt_abort: bool,
    /// This node's reservation key (hex)
    #[arg(short = 'K', long, value_name = "RK", help_heading = OUT_HEADING,
        allow_hyphen_values = true)]
    pub param_rk: Option<String>,
    /// The service action reservation key (hex): the new key, or the victim's
    #[arg(short = 'S', long, value_name = "SARK", help_heading = OUT_HEADING,
        allow_hyphen_values = true)]
    pub param_sark: Option<String>,
    /// Reservation type (hex): 1 Write Exclusive, 3 Exclusive Access,
    /// 5 and 6 the same for registrants only, 7 and 8 for all registrants
    #[arg(short = 'T', long, value_name = "TYPE", help_heading = OUT_HEADING,
        allow_hyphen_values = true)]
    pub prout_type: Option<String>,
    /// APTPL: the registration survives loss of power
    #[arg(short = 'Z', long, help_heading = OUT_HEADING)]
    pub param_aptpl: bool,
    /// ALL_TG_PT: register on all target ports
    #[arg(short = 'Y', long, help_heading = OUT_HEADING)]
    pub param_alltgpt: bool,
    /// UNREG, with --register-move: remove the registration that moves away
    #[arg(long, help_heading = OUT_HEADING)]
    pub param_unreg: bool,
    /// Register this initiator port (repeatable): fcp,<16 hex>, sas,<16 hex>, iqn.…
    /// or iqn.…,i,0xISID
    #[arg(short = 'X', long, alias = "t", value_name = "TID", help_heading = OUT_HEADING,
        allow_hyphen_values = true, action = ArgAction::Append)]
    pub transport_id: Vec<String>,
    /// Relative target port (hex) that the reservation moves to, with --register-move
    #[arg(long, value_name = "RTPI", help_heading = OUT_HEADING, allow_hyphen_values = true)]
    pub relative_target_port: Option<String>,
}

/// The command as clap knows it, for help texts.
pub fn command() -> clap::Command {
    Options::command()
}

const IN_HEADING: &str = "PERSISTENT RESERVE IN (with --in, exactly one action)";
const OUT_HEADING: &str = "PERSISTENT RESERVE OUT (with --out, exactly one action)";
const AFTER_HELP: &str = "\
How things stand, what is wrong and what to do: 'mpathpersist status', 'check', 'explain' and
'repair', each with --help. 'mpathpersist sandbox' makes a simulated array to try all that on.

Long options may be shortened as long as they stay unambiguous. Keys are up to 16 hex digits.
Exit status: 0 success, 1 usage or key refused, 2 to 9 by sense key, 10 malformed response,
11 reservation conflict, 12 not a block device, 13 not a multipath map or no usable path,
14 no worker could be started, 15 other.";
