//! What runs on a node: a transaction or a path's return, and what it has asked for.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use scsi_pr::ReservationKey;

use super::ending::is_unclear;
use super::op::{Fault, Op};
use crate::outcome::Effects;
use crate::path_return::PathReturn;
use crate::snapshot::Before;
use crate::transaction::Transaction;
use crate::wire::{Action, Event};

/// Something that runs.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) op: Op,
    pub(super) machine: Machine,
    /// Asked for, and not done yet.
    pub(super) waiting: VecDeque<Action>,
    pub(super) now: Duration,
    pub(super) steps: u32,
    /// What goes wrong with the next action.
    pub(super) mishap: Option<Fault>,
    /// The program that began it is dead; a child of it finishes what must be finished.
    pub(super) is_orphan: bool,
    /// How much went wrong on this node meanwhile.
    pub(super) mishaps: u32,
    /// How often other nodes stepped in meanwhile.
    pub(super) meddlings: u32,
    /// Keys that some node had left behind when it began, since another one has them too.
    pub(super) spared: Vec<ReservationKey>,
    /// Keys that other nodes had when it began.
    pub(super) foreign: Vec<ReservationKey>,
}

#[derive(Debug, Clone)]
pub(super) enum Machine {
    Transaction(Box<Transaction>),
    Return(Box<PathReturn>),
}

impl Running {
    pub(super) fn new(op: Op, machine: Machine) -> Self {
        let mut running = Self {
            op,
            machine,
            waiting: VecDeque::new(),
            now: Duration::ZERO,
            steps: 0,
            mishap: None,
            is_orphan: false,
            mishaps: 0,
            meddlings: 0,
            spared: Vec::new(),
            foreign: Vec::new(),
        };
        running.collect();
        running
    }

    /// Takes in an event, or that nothing more comes, and collects what follows.
    pub(super) fn advance(&mut self, event: Option<Event>) {
        match event {
            Some(event) => self.machine.handle_event(self.now, event),
            None => self.machine.handle_timeout(self.now),
        }
        self.collect();
    }

    /// Jumps to the time when the machine wants to be woken.
    pub(super) fn sleep(&mut self) {
        self.now = self.now.max(self.machine.poll_timeout());
        self.advance(None);
    }

    fn collect(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            self.waiting.push_back(action);
        }
    }
}

impl Machine {
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::Transaction(transaction) => transaction.outcome().is_some(),
            Self::Return(path_return) => path_return.settlement().is_some(),
        }
    }

    /// Whether it has ended without saying what is there.
    pub(super) fn is_unclear(&self) -> bool {
        match self {
            Self::Transaction(transaction) => transaction.outcome().is_some_and(is_unclear),
            Self::Return(_) => false,
        }
    }

    pub(super) fn before(&self) -> Option<Before> {
        match self {
            Self::Transaction(transaction) => transaction.before(),
            Self::Return(_) => None,
        }
    }

    pub(super) fn effects(&self) -> &Effects {
        match self {
            Self::Transaction(transaction) => transaction.effects(),
            Self::Return(path_return) => path_return.effects(),
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Transaction(transaction) => transaction.poll_action(),
            Self::Return(path_return) => path_return.poll_action(),
        }
    }

    fn poll_timeout(&self) -> Duration {
        match self {
            Self::Transaction(transaction) => transaction.poll_timeout(),
            Self::Return(path_return) => path_return.poll_timeout(),
        }
    }

    fn handle_event(&mut self, now: Duration, event: Event) {
        match self {
            Self::Transaction(transaction) => transaction.handle_event(now, event),
            Self::Return(path_return) => path_return.handle_event(now, event),
        }
    }

    fn handle_timeout(&mut self, now: Duration) {
        match self {
            Self::Transaction(transaction) => transaction.handle_timeout(now),
            Self::Return(path_return) => path_return.handle_timeout(now),
        }
    }
}
