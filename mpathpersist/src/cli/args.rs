//! From the words of one command line to the request they ask for.
//!
//! Here are the rules between options (one direction, one service action, one device), the
//! number formats, and what is said about every way to get them wrong. Touches nothing.
use super::options::{Options, command};
use super::usage::{self, UsageError};
use super::values::{
    Verbosity, parse_alloc_length, parse_key, parse_relative_target_port, parse_timeout,
    parse_transport_ids, parse_type, parse_verbosity,
};
use crate::run::{Doubt, FanOut, RunOptions};
use clap::Parser;
use pr_policy::{
    Clear, Preempt, Read, Register, RegisterAndMove, RegisterMode, Release, Request, Reserve,
    VictimCommands,
};
use scsi_pr::{InAction, OutAction, ReservationKey, ReservationType, TransportId};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What one command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// `--help`: print this text.
    Help(String),
    /// Something to run.
    Run(Box<Invocation>),
}

/// A command line that is to be run: at least one of command and batch file is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The command given on the line itself; it runs first.
    pub command: Option<Command>,
    /// The file with further command lines.
    pub batch_file: Option<PathBuf>,
    /// `--json`, also for the lines of the batch file.
    pub format: Format,
}

/// One command on one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The device as it was named.
    pub device: String,
    /// What to send to it.
    pub request: Request,
    /// How to carry it out.
    pub options: RunOptions,
    /// Whether to do it.
    pub intent: Intent,
    /// How to print the answer.
    pub format: Format,
    /// Whether a response is dumped as well.
    pub hex: HexDump,
    /// Things that are probably not meant, for stderr.
    pub warnings: Vec<&'static str>,
}

/// What is to become of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// It is carried out.
    #[default]
    CarryOut,
    /// It is only told how it would go.
    Rehearse,
}

/// How answers and failures are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The text that existing scripts parse.
    #[default]
    Text,
    /// One JSON object a command, see [`super::json`].
    Json,
}

/// Whether the bytes of a response are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HexDump {
    /// No.
    #[default]
    Omit,
    /// As rows of hex on stderr.
    Stderr,
}

/// Where a command line stands: a batch file has rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The arguments of the process.
    Process,
    /// A line of a batch file: `--batch-file` is an error, `--verbose` is ignored.
    BatchFile,
}

/// Parses the words of one command line, the program's name not among them.
pub fn parse<I>(words: I, place: Place) -> Result<Parsed, UsageError>
where
    I: IntoIterator<Item = OsString>,
{
    let options = match read_options(words) {
        Ok(options) => options,
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {
            return Ok(Parsed::Help(command().render_help().to_string()));
        }
        Err(error) => return Err(usage::explain(&error)),
    };
    interpret(&options, place).map(|invocation| Parsed::Run(Box::new(invocation)))
}

/// The log level that a command line asks for; the default if it says nothing intelligible.
///
/// For whoever sets up logging before [`super::run`] looks at the whole line.
pub fn verbosity(words: &[OsString]) -> Verbosity {
    read_options(words.iter().skip(1).cloned())
        .ok()
        .and_then(|options| parse_verbosity(options.verbose.as_deref()).ok())
        .unwrap_or_default()
}

/// The sandbox that a command line is for, if it is and can be parsed.
///
/// For whoever makes the runner.
pub fn sandbox(words: &[OsString]) -> Option<PathBuf> {
    let options = read_options(words.iter().skip(1).cloned()).ok()?;
    options.sandbox.map(PathBuf::from)
}

/// Whether a command line that could not be parsed asks for JSON all the same.
pub(super) fn is_json_wanted(words: &[OsString]) -> bool {
    words
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| word == "--json")
}

fn read_options<I>(words: I) -> Result<Options, clap::Error>
where
    I: IntoIterator<Item = OsString>,
{
    Options::try_parse_from(std::iter::once(OsString::from("mpathpersist")).chain(words))
}

fn interpret(options: &Options, place: Place) -> Result<Invocation, UsageError> {
    let batch_file = match (&options.batch_file, place) {
        (Some(_), Place::BatchFile) => return Err(UsageError::BatchInBatch),
        (file, _) => file.as_ref().map(PathBuf::from),
    };
    if options.sandbox.is_some() && place == Place::BatchFile {
        return Err(UsageError::SandboxInBatch);
    }
    if place == Place::Process {
        parse_verbosity(options.verbose.as_deref())?;
    }
    let format = if options.json {
        Format::Json
    } else {
        Format::Text
    };
    let device = device(options)?;
    let is_command = options.pr_in || options.pr_out || batch_file.is_none();
    let command = is_command
        .then(|| interpret_command(options, device, format))
        .transpose()?;
    Ok(Invocation {
        command,
        batch_file,
        format,
    })
}

fn interpret_command(
    options: &Options,
    device: Option<&OsStr>,
    format: Format,
) -> Result<Command, UsageError> {
    let operands = Operands::parse(options)?;
    let request = match (options.pr_in, options.pr_out) {
        (true, false) => read_request(in_action(options)?, &operands),
        (false, true) => operands.out_request(out_action(options)?)?,
        _ => return Err(UsageError::Direction),
    };
    let device = device.ok_or(UsageError::NoDevice)?;
    let device = device.to_str().ok_or(UsageError::BadArgument {
        option: "--device",
        expected: "a path in UTF-8",
    })?;
    Ok(Command {
        device: device.to_owned(),
        options: RunOptions {
            timeout: parse_timeout(options.timeout.as_deref())?,
            fan_out: if options.sequential {
                FanOut::Sequential
            } else {
                FanOut::Parallel
            },
            doubt: if options.force {
                Doubt::Override
            } else {
                Doubt::Refuse
            },
        },
        intent: intent(&request, options)?,
        format,
        hex: if options.hex {
            HexDump::Stderr
        } else {
            HexDump::Omit
        },
        warnings: warnings(&request, options),
        request,
    })
}

fn intent(request: &Request, options: &Options) -> Result<Intent, UsageError> {
    match (request, options.dry_run) {
        (_, false) => Ok(Intent::CarryOut),
        (Request::Read(_), true) => Err(UsageError::DryRunOfReading),
        (_, true) => Ok(Intent::Rehearse),
    }
}

/// The device, from `--device` or from the one positional argument.
fn device(options: &Options) -> Result<Option<&OsStr>, UsageError> {
    let mut positional = options.positional.iter();
    let device = options.device.as_ref().or_else(|| positional.next());
    match positional.next() {
        Some(extra) => Err(UsageError::ExtraArgument(
            extra.to_string_lossy().into_owned(),
        )),
        None => Ok(device.map(OsString::as_os_str)),
    }
}

fn in_actions(options: &Options) -> Vec<InAction> {
    let table = [
        (options.read_keys, InAction::READ_KEYS),
        (options.read_reservation, InAction::READ_RESERVATION),
        (options.report_capabilities, InAction::REPORT_CAPABILITIES),
        (options.read_full_status, InAction::READ_FULL_STATUS),
    ];
    table
        .into_iter()
        .filter(|(given, _)| *given)
        .map(|(_, action)| action)
        .collect()
}

fn out_actions(options: &Options) -> Vec<OutAction> {
    let table = [
        (options.register, OutAction::REGISTER),
        (
            options.register_ignore,
            OutAction::REGISTER_AND_IGNORE_EXISTING_KEY,
        ),
        (options.register_move, OutAction::REGISTER_AND_MOVE),
        (options.reserve, OutAction::RESERVE),
        (options.release, OutAction::RELEASE),
        (options.clear, OutAction::CLEAR),
        (options.preempt, OutAction::PREEMPT),
        (options.preempt_abort, OutAction::PREEMPT_AND_ABORT),
    ];
    table
        .into_iter()
        .filter(|(given, _)| *given)
        .map(|(_, action)| action)
        .collect()
}

fn in_action(options: &Options) -> Result<InAction, UsageError> {
    match (
        in_actions(options).as_slice(),
        out_actions(options).as_slice(),
    ) {
        (_, [_, ..]) => Err(UsageError::OutActionWithIn),
        ([], []) => Err(UsageError::NoInAction),
        ([action], []) => Ok(*action),
        (_, []) => Err(UsageError::ManyInActions),
    }
}

fn out_action(options: &Options) -> Result<OutAction, UsageError> {
    match (
        in_actions(options).as_slice(),
        out_actions(options).as_slice(),
    ) {
        ([], [action]) => Ok(*action),
        _ => Err(UsageError::OutActions),
    }
}

fn read_request(action: InAction, operands: &Operands) -> Request {
    Request::Read(Read {
        action,
        allocation_length: operands.allocation_length,
    })
}

/// The values of all options that become part of a request.
struct Operands {
    key: ReservationKey,
    service_action_key: ReservationKey,
    reservation_type: ReservationType,
    aptpl: bool,
    all_tg_pt: bool,
    unregister: bool,
    relative_target_port: u16,
    transport_ids: Vec<TransportId>,
    allocation_length: Option<u16>,
}

impl Operands {
    fn parse(options: &Options) -> Result<Self, UsageError> {
        let port = options.relative_target_port.as_deref();
        Ok(Self {
            key: parse_key("--param-rk", options.param_rk.as_deref())?,
            service_action_key: parse_key("--param-sark", options.param_sark.as_deref())?,
            reservation_type: parse_type(options.prout_type.as_deref())?,
            aptpl: options.param_aptpl,
            all_tg_pt: options.param_alltgpt,
            unregister: options.param_unreg,
            relative_target_port: parse_relative_target_port(port)?,
            transport_ids: parse_transport_ids(&options.transport_id)?,
            allocation_length: parse_alloc_length(options.alloc_length.as_deref())?,
        })
    }

    fn out_request(self, action: OutAction) -> Result<Request, UsageError> {
        let Self {
            key,
            reservation_type,
            ..
        } = self;
        Ok(match action {
            OutAction::REGISTER => self.register(RegisterMode::Compare),
            OutAction::REGISTER_AND_IGNORE_EXISTING_KEY => self.register(RegisterMode::Ignore),
            OutAction::REGISTER_AND_MOVE => return self.register_and_move(),
            OutAction::RESERVE => Request::Reserve(Reserve {
                key,
                reservation_type,
            }),
            OutAction::RELEASE => Request::Release(Release {
                key,
                reservation_type,
            }),
            OutAction::CLEAR => Request::Clear(Clear { key }),
            OutAction::PREEMPT => self.preempt(VictimCommands::Finish),
            OutAction::PREEMPT_AND_ABORT => self.preempt(VictimCommands::Abort),
            _ => return Err(UsageError::OutActions),
        })
    }

    fn register(self, mode: RegisterMode) -> Request {
        Request::Register(Register {
            mode,
            key: self.key,
            new_key: self.service_action_key,
            aptpl: self.aptpl,
            all_tg_pt: self.all_tg_pt,
            transport_ids: self.transport_ids,
        })
    }

    fn preempt(self, commands: VictimCommands) -> Request {
        Request::Preempt(Preempt {
            key: self.key,
            victim: self.service_action_key,
            reservation_type: self.reservation_type,
            commands,
        })
    }

    fn register_and_move(self) -> Result<Request, UsageError> {
        let Ok([transport_id]) = <[TransportId; 1]>::try_from(self.transport_ids) else {
            return Err(UsageError::MoveTarget);
        };
        Ok(Request::RegisterAndMove(RegisterAndMove {
            key: self.key,
            new_key: self.service_action_key,
            aptpl: self.aptpl,
            unregister: self.unregister,
            relative_target_port: self.relative_target_port,
            transport_id,
        }))
    }
}

/// A type of 0 is sent as it is; the device will refuse it, so say beforehand why.
fn warnings(request: &Request, options: &Options) -> Vec<&'static str> {
    let needs_type = matches!(
        request,
        Request::Reserve(_) | Request::Release(_) | Request::Preempt(_)
    );
    if needs_type && options.prout_type.is_none() {
        vec!["Warning: --prout-type probably needs to be given"]
    } else {
        Vec::new()
    }
}
