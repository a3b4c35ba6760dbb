//! What has happened so far, cheap to branch: a list that shares its beginning.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::snapshot::PathId;
use crate::wire::{Action, Command, Parameters};

use super::op::{Fault, Op};
use crate::outcome::{Effects, Outcome};

/// A history.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace(Option<Rc<Link>>);

#[derive(Debug)]
struct Link {
    before: Trace,
    /// How many there are up to here.
    count: usize,
    moment: Moment,
}

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Moment {
    Begin(Op),
    Fault(usize, Fault),
    Did(usize, Action, Answered),
    Waited(usize, core::time::Duration),
    End(usize, Option<Outcome>, Effects),
}

/// How an action was answered, in one word.
pub(super) type Answered = &'static str;

impl Trace {
    pub(super) fn note(&mut self, moment: Moment) {
        let before = core::mem::take(self);
        let count = before.len() + 1;
        self.0 = Some(Rc::new(Link {
            before,
            count,
            moment,
        }));
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |link| link.count)
    }

    fn moments(&self) -> Vec<&Moment> {
        let mut moments = Vec::new();
        let mut at = self;
        while let Some(link) = &at.0 {
            moments.push(&link.moment);
            at = &link.before;
        }
        moments.reverse();
        moments
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.moments().into_iter().map(Moment::line).collect()
    }
}

impl Drop for Trace {
    /// Long histories must not be dropped recursively.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(link) = next {
            match Rc::try_unwrap(link) {
                Ok(mut link) => next = link.before.0.take(),
                Err(_) => break,
            }
        }
    }
}

impl Moment {
    fn line(&self) -> String {
        match self {
            Self::Begin(op) => op.to_string(),
            Self::Fault(node, fault) => format!("    node {node} ! {fault}"),
            Self::Did(node, action, answer) => {
                format!("    node {node}   {}: {answer}", shown(action))
            }
            Self::Waited(node, until) => format!("    node {node}   waits until {until:?}"),
            Self::End(node, Some(outcome), effects) => {
                format!("    node {node} = {outcome:?} {}", of(effects))
            }
            Self::End(node, None, effects) => format!("    node {node} = settled {}", of(effects)),
        }
    }
}

fn of(effects: &Effects) -> String {
    format!("{:?} {:?}", effects.registration, effects.holding)
}

fn shown(action: &Action) -> String {
    match action {
        Action::Probe {
            path: PathId(path), ..
        } => format!("path {path} probe"),
        Action::Suspend { .. } => "suspend".to_string(),
        Action::Resume { .. } => "resume".to_string(),
        Action::Send {
            path: PathId(path),
            command,
            ..
        } => match command {
            Command::In(cdb) => format!("path {path} {}", cdb.action),
            Command::Out {
                action,
                parameters: Parameters::Basic(list),
                reservation_type,
            } => format!(
                "path {path} {action} {} {} type {:x}",
                list.reservation_key, list.service_action_reservation_key, reservation_type.0
            ),
            Command::Out { action, .. } => format!("path {path} {action}"),
        },
    }
}
