//! What is said about a request that failed, and the one place that decides it.
//!
//! Here because the exit status and the lines that scripts expect are an exact contract, while
//! the sentence for people is ours to make better: every way to fail passes one total match and
//! comes out with both.
use super::exit::ExitStatus;
use crate::code::Code;
use crate::run::{Failure, Report};
use pr_policy::{Outcome, Read, Request};
use scsi_pr::{InAction, OutAction, Sense, SenseKey, Status};

/// Everything that is said about one failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The exit status.
    pub exit: ExitStatus,
    /// The failure's stable name, as in the JSON output.
    pub kind: Code,
    /// The lines that existing scripts expect.
    pub headline: Headline,
    /// One plain sentence: what happened, to which map and path, and what to do next.
    pub sentence: String,
    /// What to do next, where the sentence is one that scripts know.
    pub advice: Option<String>,
    /// The path it happened on.
    pub path: Option<String>,
    /// The SCSI status that the device answered with.
    pub status: Option<Status>,
    /// The sense data that it answered with.
    pub sense: Option<Sense>,
}

/// Which of the fixed lines a failure is announced with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headline {
    /// None: the device could not even be opened.
    Absent,
    /// That the command failed.
    Failed,
    /// For PERSISTENT RESERVE OUT the SCSI status as well, in these words.
    FailedWith(&'static str),
}

impl Verdict {
    /// The fixed lines for stdout, each with its line feed.
    pub fn stdout(&self, request: &Request) -> String {
        match (request, self.headline) {
            (Request::Read(_), _) | (_, Headline::Absent) => String::new(),
            (_, Headline::Failed) => PR_OUT_FAILED.to_owned(),
            (_, Headline::FailedWith(status)) => {
                format!("persistent reserve out: scsi status: {status}\n{PR_OUT_FAILED}")
            }
        }
    }

    /// The lines for stderr: the fixed one, and the sentence.
    pub fn stderr(&self, request: &Request) -> String {
        match (request, self.headline) {
            (Request::Read(_), Headline::Failed | Headline::FailedWith(_)) => {
                format!("{PR_IN_FAILED}{}", self.explained())
            }
            _ => self.explained(),
        }
    }

    /// The sentence, and the name that `explain` expands.
    pub(crate) fn explained(&self) -> String {
        match &self.advice {
            None => format!("{} [{}]\n", self.sentence, self.kind),
            Some(advice) => format!("{}\n{advice} [{}]\n", self.sentence, self.kind),
        }
    }
}

/// What a request came to: the response (empty for PERSISTENT RESERVE OUT), or the verdict.
pub fn judge<'a>(
    request: &Request,
    result: &'a Result<Report, Failure>,
) -> Result<&'a [u8], Box<Verdict>> {
    match result {
        Ok(report) => judge_report(request, report),
        Err(failure) => Err(Box::new(judge_failure(failure))),
    }
}

/// The verdict on a response that cannot be what was asked for, with what is wrong about it.
pub fn judge_malformed(report: &Report, reason: &str) -> Verdict {
    let sentence = format!(
        "{}: the response is not valid ({reason}): look at it with 'sg_persist --in --hex', and \
         tell the array's vendor",
        report.map
    );
    Verdict {
        path: report.path.clone(),
        ..verdict(
            ExitStatus::MALFORMED_RESPONSE,
            Code::MalformedResponse,
            sentence,
        )
    }
}

/// What is said of a map that could not be read.
pub(crate) fn of_reading(map: &str, outcome: &Outcome, path: &Option<String>) -> (Code, String) {
    let report = Report {
        map: map.to_owned(),
        outcome: outcome.clone(),
        path: path.clone(),
        notes: Vec::new(),
    };
    let request = Request::Read(Read {
        action: InAction::READ_FULL_STATUS,
        allocation_length: None,
    });
    match judge_report(&request, &report) {
        Err(verdict) => (verdict.kind, verdict.sentence),
        Ok(_) => (Code::Other, format!("{map}: nothing was read")),
    }
}

/// What is said of a map that could not be asked.
pub(crate) fn of_failure(failure: &Failure) -> Verdict {
    judge_failure(failure)
}

fn judge_report<'a>(request: &Request, report: &'a Report) -> Result<&'a [u8], Box<Verdict>> {
    let map = &report.map;
    let path = report.path.as_deref().unwrap_or("one path");
    let verdict = match &report.outcome {
        Outcome::Read(response) => return Ok(response),
        Outcome::Done => return Ok(&[]),
        Outcome::Conflict => conflict(request, map),
        Outcome::Answered { status, sense, .. } => {
            answered(request, &format!("{map}: {path}"), *status, *sense)
        }
        Outcome::NoUsablePath => {
            let sentence = format!(
                "{map}: no usable path: mend one, and run the command again; 'mpathpersist status \
                 {map}' shows each"
            );
            verdict(ExitStatus::DEVICE_MAPPER, Code::NoUsablePath, sentence)
        }
        Outcome::Unreachable { .. } => {
            let sentence = format!(
                "{map}: no path answered, the last one tried was {path}, nothing is known to \
                 have changed: check the paths with 'multipathd show paths' and try again"
            );
            verdict(ExitStatus::OTHER, Code::Unreachable, sentence)
        }
        Outcome::Unknown { .. } => {
            let sentence = format!(
                "{map}: the answer through {path} never came, the command may have been carried \
                 out or not: look with 'mpathpersist status {map}' before the next step"
            );
            verdict(ExitStatus::OTHER, Code::Unknown, sentence)
        }
        Outcome::Incomplete { .. } => {
            let sentence = format!(
                "{map}: {path} carries I/O and could not be brought in step with the others, which \
                 were put back as far as that is possible: check that path, look with \
                 'mpathpersist status {map}', and run the command again"
            );
            verdict(ExitStatus::OTHER, Code::Incomplete, sentence)
        }
        Outcome::HolderUnreachable {
            key,
            reservation_type,
        } => {
            let sentence = format!(
                "{map}: {key} still holds the reservation ({reservation_type}) through a nexus \
                 that cannot be used, and nothing tells whether it is this node's or one of \
                 another node with the same key: see 'mpathpersist explain {map}'; --force treats \
                 it as this node's"
            );
            verdict(ExitStatus::OTHER, Code::HolderUnreachable, sentence)
        }
        Outcome::NotSuspended => {
            let sentence = format!(
                "{map}: the map could not be suspended, so nothing was changed: look for I/O that \
                 hangs with 'dmsetup status {map}', and run the command again"
            );
            verdict(ExitStatus::OTHER, Code::NotSuspended, sentence)
        }
        Outcome::Malformed { .. } => judge_malformed(report, &format!("from {path}")),
    };
    Err(Box::new(Verdict {
        path: report.path.clone(),
        ..verdict
    }))
}

fn judge_failure(failure: &Failure) -> Verdict {
    let (exit, kind) = match failure {
        Failure::NotFound { .. } => (ExitStatus::DEVICE_FILE, Code::DeviceNotFound),
        Failure::NotBlockDevice { .. } => (ExitStatus::DEVICE_FILE, Code::NotABlockDevice),
        Failure::NotMultipath { .. } => (ExitStatus::DEVICE_MAPPER, Code::NotAMultipathMap),
        Failure::NoPath { .. } => (ExitStatus::DEVICE_MAPPER, Code::NoUsablePath),
        Failure::KeyMismatch { .. } => (ExitStatus::SYNTAX_ERROR, Code::KeyMismatch),
        Failure::NoKey { .. } => (ExitStatus::SYNTAX_ERROR, Code::NoKey),
        Failure::Worker { .. } => (ExitStatus::WORKER, Code::Worker),
        Failure::Other { .. } => (ExitStatus::OTHER, Code::Other),
    };
    let headline = match failure {
        Failure::NotFound { .. } => Headline::Absent,
        _ => Headline::Failed,
    };
    Verdict {
        headline,
        advice: failure.advice(),
        ..verdict(exit, kind, failure.to_string())
    }
}

fn conflict(request: &Request, place: &str) -> Verdict {
    let why = match request.out_action() {
        Some(OutAction::REGISTER) => {
            "the key given with --param-rk is not the one registered here (--register-ignore does \
             not compare it)"
        }
        Some(OutAction::RESERVE) => {
            "this node is not registered, or a reservation of another node or of another type \
             stands"
        }
        Some(OutAction::RELEASE) => {
            "this node is not registered, or it holds a reservation of another --prout-type"
        }
        Some(OutAction::PREEMPT | OutAction::PREEMPT_AND_ABORT) => {
            "this node is not registered, or nobody is registered with the key to preempt"
        }
        Some(OutAction::REGISTER_AND_MOVE) => "this node does not hold the reservation",
        _ => "this node is not registered, or another node's reservation shuts it out",
    };
    let map = place.split(": ").next().unwrap_or(place);
    let sentence = format!(
        "{place}: {request} met a RESERVATION CONFLICT: {why}: see 'mpathpersist status {map}'"
    );
    Verdict {
        headline: Headline::FailedWith("Reservation Conflict"),
        status: Some(Status::RESERVATION_CONFLICT),
        ..verdict(
            ExitStatus::RESERVATION_CONFLICT,
            Code::ReservationConflict,
            sentence,
        )
    }
}

fn answered(request: &Request, place: &str, status: Status, sense: Option<Sense>) -> Verdict {
    let verdict = match status {
        Status::RESERVATION_CONFLICT => conflict(request, place),
        Status::CHECK_CONDITION => check_condition(request, place, sense),
        _ => {
            let sentence = format!(
                "{place}: {} was answered with {status}: try again, or look after the device",
                request
            );
            verdict(ExitStatus::OTHER, Code::ScsiStatus, sentence)
        }
    };
    Verdict {
        status: Some(status),
        sense,
        ..verdict
    }
}

fn check_condition(request: &Request, place: &str, sense: Option<Sense>) -> Verdict {
    let (exit, kind, next) = sense.map_or(NO_SENSE, |sense| classify(&sense));
    let said = sense.map_or("no sense data".to_owned(), |sense| sense.to_string());
    let sentence = format!("{place}: {} was answered with {said}: {next}", request);
    let headline = match exit {
        ExitStatus::UNIT_ATTENTION => Headline::FailedWith("Unit Attention"),
        _ => Headline::Failed,
    };
    Verdict {
        headline,
        ..verdict(exit, kind, sentence)
    }
}

/// What sense data comes to: exit status, stable name, what to do next.
fn classify(sense: &Sense) -> (ExitStatus, Code, &'static str) {
    match (sense.key, sense.asc, sense.ascq) {
        (SenseKey::NO_SENSE, ..) => NO_SENSE,
        (SenseKey::NOT_READY, ..) => (
            ExitStatus::NOT_READY,
            Code::NotReady,
            "wait until the device is ready and try again",
        ),
        (SenseKey::MEDIUM_ERROR, ..) => (
            ExitStatus::MEDIUM_ERROR,
            Code::MediumError,
            "look after the device",
        ),
        (SenseKey::HARDWARE_ERROR, ..) => (
            ExitStatus::HARDWARE_ERROR,
            Code::HardwareError,
            "look after the device",
        ),
        (SenseKey::ILLEGAL_REQUEST, 0x20, 0x00) => {
            let next = "it knows no persistent reservations: switch them on in the array if it has \
                        such a setting, or fence in another way";
            (ExitStatus::INVALID_OPERATION, Code::InvalidOperation, next)
        }
        (SenseKey::ILLEGAL_REQUEST, asc, ascq) => (
            ExitStatus::ILLEGAL_REQUEST,
            Code::IllegalRequest,
            after_illegal_request(asc, ascq),
        ),
        (SenseKey::UNIT_ATTENTION, ..) => (
            ExitStatus::UNIT_ATTENTION,
            Code::UnitAttention,
            "it kept saying so; try again",
        ),
        (SenseKey::ABORTED_COMMAND, ..) => (
            ExitStatus::ABORTED_COMMAND,
            Code::AbortedCommand,
            "try again",
        ),
        _ => (
            ExitStatus::OTHER,
            Code::Sense,
            "look the sense data up in the device's manual",
        ),
    }
}

/// What to do about an ILLEGAL REQUEST, by additional sense code (SPC-4 table 66).
fn after_illegal_request(asc: u8, ascq: u8) -> &'static str {
    match (asc, ascq) {
        (0x26, 0x04) => "the reservation has another type; see 'mpathpersist -i -r'",
        (0x55, 0x04) => "its table of registrations is full; remove stale ones",
        _ => "it does not take these parameters; see what it can do with 'mpathpersist -i -c'",
    }
}

fn verdict(exit: ExitStatus, kind: Code, sentence: String) -> Verdict {
    Verdict {
        exit,
        kind,
        headline: Headline::Failed,
        sentence,
        advice: None,
        path: None,
        status: None,
        sense: None,
    }
}

const NO_SENSE: (ExitStatus, Code, &str) = (ExitStatus::NO_SENSE, Code::NoSense, "try again");
const PR_IN_FAILED: &str = "Persistent Reserve IN command failed\n";
const PR_OUT_FAILED: &str = "PR out: command failed\n";
