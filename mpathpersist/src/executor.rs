//! Carries a transaction out: the loop between judgement and hands.

use std::time::Duration;

use pr_policy::{
    Action, Before, Command, Event, Look, Outcome, PathId, PathReturn, Settlement, Success, Ticket,
    Transaction,
};

/// What a transaction acts with: the kernel, or a simulation of it.
pub trait Hands {
    /// Why nothing can be done at all, for example no worker can be started.
    type Error;

    /// Starts a command on a path. Its end comes from [`Hands::wait`].
    ///
    /// # Errors
    /// Nothing can be started any more.
    fn send(&mut self, ticket: Ticket, path: PathId, command: &Command) -> Result<(), Self::Error>;

    /// Starts a look at a path. What was seen comes from [`Hands::wait`].
    ///
    /// # Errors
    /// Nothing can be started any more.
    fn probe(&mut self, ticket: Ticket, path: PathId) -> Result<(), Self::Error>;

    /// Suspends the map and tells the transaction, with this ticket; then carries on with it
    /// until the map has been resumed and the transaction knows. Nothing may keep that from
    /// happening, not even the end of this process.
    ///
    /// # Errors
    /// It is not known how far that came.
    fn run_suspended(
        &mut self,
        ticket: Ticket,
        transaction: &mut Transaction,
    ) -> Result<(), Self::Error>;

    /// Waits for the next thing to end, at most until `until`. Things that were started and have
    /// not ended by then go on, and may end in a later call.
    ///
    /// # Errors
    /// It is not possible to wait.
    fn wait(&mut self, until: Duration) -> Result<Option<Event>, Self::Error>;

    /// Time since these hands were made.
    fn now(&self) -> Duration;
}

/// Runs a transaction to its end. `note` is told what there was before this node began to register,
/// before it begins.
///
/// # Errors
/// The hands failed; what was under way may still be carried out.
pub fn carry_out<H: Hands>(
    transaction: &mut Transaction,
    hands: &mut H,
    mut note: impl FnMut(Before),
) -> Result<Outcome, H::Error> {
    let mut noted = None;
    loop {
        if let Some(outcome) = transaction.outcome() {
            return Ok(outcome.clone());
        }
        if let Some(before) = transaction.before().filter(|_| noted.is_none()) {
            noted = Some(before);
            note(before);
        }
        while let Some(action) = transaction.poll_action() {
            match action {
                Action::Suspend { ticket } => hands.run_suspended(ticket, transaction)?,
                action => start(&action, hands)?,
            }
        }
        if transaction.outcome().is_some() {
            continue;
        }
        match hands.wait(transaction.poll_timeout())? {
            Some(event) => transaction.handle_event(hands.now(), event),
            None => transaction.handle_timeout(hands.now()),
        }
    }
}

/// Settles the registration of a path that came back. `watch` sees it before every step and
/// before every action: how far it could be trusted if it were cut off there has to be on file
/// first. An error of its ends it there; `blame` says what an error of the hands means.
///
/// # Errors
/// The hands failed, or `watch` did.
pub fn settle<H: Hands, E>(
    path_return: &mut PathReturn,
    hands: &mut H,
    mut watch: impl FnMut(&PathReturn) -> Result<(), E>,
    blame: impl Fn(H::Error) -> E,
) -> Result<Settlement, E> {
    loop {
        if let Some(settlement) = path_return.settlement() {
            return Ok(settlement);
        }
        watch(path_return)?;
        while let Some(action) = path_return.poll_action() {
            watch(path_return)?;
            start(&action, hands).map_err(&blame)?;
        }
        match hands.wait(path_return.poll_timeout()).map_err(&blame)? {
            Some(event) => path_return.handle_event(hands.now(), event),
            None => path_return.handle_timeout(hands.now()),
        }
    }
}

/// Looks at what is registered.
///
/// # Errors
/// The hands failed.
pub fn look<H: Hands>(look: &mut Look, hands: &mut H) -> Result<(), H::Error> {
    while !look.is_over() {
        while let Some(action) = look.poll_action() {
            start(&action, hands)?;
        }
        match hands.wait(look.poll_timeout())? {
            Some(event) => look.handle_event(hands.now(), event),
            None => look.handle_timeout(hands.now()),
        }
    }
    Ok(())
}

/// What [`Hands::run_suspended`] is where no I/O has to wait, and so nothing to be suspended:
/// carries on with a transaction from there to where the map is to be resumed.
pub(crate) fn run_as_if_suspended<H: Hands>(
    hands: &mut H,
    ticket: Ticket,
    transaction: &mut Transaction,
) -> Result<(), H::Error> {
    let success = Success::Yes;
    transaction.handle_event(hands.now(), Event::Suspended { ticket, success });
    while transaction.outcome().is_none() {
        while let Some(action) = transaction.poll_action() {
            if let Action::Resume { ticket } = action {
                transaction.handle_event(hands.now(), Event::Resumed { ticket });
                return Ok(());
            }
            start(&action, hands)?;
        }
        match hands.wait(transaction.poll_timeout())? {
            Some(event) => transaction.handle_event(hands.now(), event),
            None => transaction.handle_timeout(hands.now()),
        }
    }
    Ok(())
}

pub(crate) fn start<H: Hands>(action: &Action, hands: &mut H) -> Result<(), H::Error> {
    match action {
        Action::Send {
            ticket,
            path,
            command,
            ..
        } => hands.send(*ticket, *path, command),
        Action::Probe { ticket, path, .. } => hands.probe(*ticket, *path),
        // Neither begins anything: `run_suspended` has both ends in its hands.
        Action::Suspend { .. } | Action::Resume { .. } => Ok(()),
    }
}
