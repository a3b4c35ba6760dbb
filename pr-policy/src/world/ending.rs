//! What a command or a path's return leaves behind when it ends: the record, the journal, the path.

use alloc::boxed::Box;

use super::machine::{Machine, Running};
use super::op::{Link, Op};
use super::promise::Violation;
use super::stage::{Node, PathSlot, World};
use super::trace::Moment;
use crate::outcome::{Effects, Outcome, Registration};
use crate::path_return::{Settlement, Trust};
use crate::request::Request;

impl Node {
    /// What a registration left between two states only the next one puts right; and what it left
    /// on a path that is away stays there.
    pub(super) fn note_end(&mut self, request: &Request, outcome: &Outcome, is_unclear: bool) {
        let registers = matches!(request, Request::Register(_));
        let is_whole = self.paths.iter().all(|path| path.link == Link::Up);
        let is_repaired = registers && *outcome == Outcome::Done;
        self.is_half_registered =
            registers && is_unclear || self.is_half_registered && !is_repaired;
        self.is_torn = is_unclear || self.is_half_registered;
        self.may_leak = self.is_half_registered || self.may_leak && !(is_repaired && is_whole);
    }
}

impl Node {
    /// What the daemon does when it is told which paths have the key: the others are looked at
    /// before they carry I/O again.
    fn take_out_of_use(&mut self, effects: &Effects) {
        let Some(Registration::Registered { paths, .. }) = &effects.registration else {
            return;
        };
        for (number, slot) in self.paths.iter_mut().enumerate() {
            let is_reached = paths.iter().any(|path| path.0 as usize == number);
            if slot.is_active && !is_reached {
                slot.is_active = false;
                slot.is_unchecked = true;
                slot.tries = 0;
            }
        }
    }
}

impl Node {
    /// At once; again when there is a path, and before the paths are looked at: with what is half
    /// done none of them could be told from one that was shut out.
    pub(super) fn is_recovery_due(&self) -> bool {
        let is_up = |slot: &PathSlot| slot.link == Link::Up;
        self.recoveries == 0 || self.paths.iter().any(is_up)
    }
}

impl Node {
    /// What a path has by an earlier return is as good as what this node has registered now.
    fn forget_suspects(&mut self, effects: &Effects) {
        if let Some(Registration::Registered { .. }) = &effects.registration {
            for slot in &mut self.paths {
                slot.trust = Trust::Trusted;
            }
        }
    }
}

impl World {
    pub(super) fn end(&mut self, node: usize, running: Running) -> Result<(), Box<Violation>> {
        let effects = running.machine.effects().clone();
        let outcome = match &running.machine {
            Machine::Transaction(transaction) => transaction.outcome().cloned(),
            Machine::Return(_) => None,
        };
        self.trace
            .note(Moment::End(node, outcome.clone(), effects.clone()));
        self.check_time(node, &running)?;
        let request = match &running.machine {
            Machine::Transaction(transaction) => Some(transaction.request()),
            Machine::Return(_) => None,
        };
        let Node { record, paths, .. } = &mut self.nodes[node];
        record.enter(&effects, request, |path| paths[*path].link != Link::Gone);
        if request.is_some() {
            self.nodes[node].take_out_of_use(&effects);
        }
        if matches!(request, Some(Request::Register(_))) {
            self.nodes[node].forget_suspects(&effects);
        }
        match (&running.op, &running.machine, outcome) {
            (Op::Ask { request, .. }, _, Some(outcome)) => {
                self.conclude(node, request, &outcome, &running)
            }
            (Op::Recover { .. }, _, Some(outcome)) => {
                self.recovered(node, &outcome);
                Ok(())
            }
            (Op::Check { path, .. }, Machine::Return(machine), _) => {
                let is_undisturbed = running.mishaps + running.meddlings == 0;
                self.settle_path(node, *path, machine.settlement(), is_undisturbed)
            }
            _ => Ok(()),
        }
    }

    fn recovered(&mut self, node: usize, outcome: &Outcome) {
        let host = &mut self.nodes[node];
        host.recoveries += 1;
        if outcome.is_open() && host.recoveries <= MOST_TRIES {
            return;
        }
        let Some(Op::Ask { request, .. }) = self.nodes[node].journal.take() else {
            return;
        };
        self.nodes[node].is_overtaken = false;
        self.nodes[node].note_end(&request, outcome, is_unclear(outcome));
        self.reference.end(node, None, &request, &self.setting);
    }

    fn settle_path(
        &mut self,
        node: usize,
        path: usize,
        settlement: Option<Settlement>,
        is_undisturbed: bool,
    ) -> Result<(), Box<Violation>> {
        let most = self.setting.profile.max_registrants.map(usize::from);
        let is_full = most.is_some_and(|most| self.unit.registrations().count() >= most);
        let slot = &mut self.nodes[node].paths[path];
        match settlement {
            Some(Settlement::Reinstate) => {
                slot.is_active = slot.link == Link::Up;
                slot.is_unchecked = slot.link != Link::Up;
                slot.trust = Trust::Trusted;
                Ok(())
            }
            Some(Settlement::TryAgain(trust)) => {
                slot.trust = trust;
                slot.tries += 1;
                // It cannot be registered, and so must not carry I/O.
                slot.is_unchecked &= !is_full || slot.tries <= MOST_TRIES;
                if slot.link == Link::Up && slot.tries > MOST_TRIES && !is_full && is_undisturbed {
                    return Err(self.never_settled(node, path));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Whether an outcome admits that the map may be between two states.
pub(super) fn is_unclear(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Unknown { .. }
        | Outcome::Incomplete { .. }
        | Outcome::Malformed { .. }
        | Outcome::HolderUnreachable { .. } => true,
        Outcome::Answered { status, sense, .. } => !matches!(
            scsi_pr::classify(*status, sense.as_ref()),
            scsi_pr::AnswerClass::Refused(_)
        ),
        _ => false,
    }
}

/// A path that cannot be settled, or a command that cannot be completed, so often, although nothing
/// goes wrong, never will be.
const MOST_TRIES: u8 = 6;
