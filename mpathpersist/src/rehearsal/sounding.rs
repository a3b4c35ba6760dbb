//! How a path answers: found out by reading through it, which changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use pr_policy::{Answer, Command, Event, PathId, PathState, Ticket};
use scsi_pr::{AnswerClass, InAction};

use crate::executor::Hands;
use crate::map::OpenMap;

/// What comes back through a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sounding {
    /// What the device answers; before, these unit attentions came, and with them the news that
    /// the command would have had.
    Device {
        /// The first first.
        news: VecDeque<Answer>,
    },
    /// The same to every command.
    Always(Answer),
    /// Nothing.
    Silence,
}

impl Sounding {
    pub(crate) const fn is_answer(&self) -> bool {
        matches!(self, Self::Device { .. })
    }
}

/// Reads once through every path of a map that is not known to be dead, all at once.
pub(crate) fn take<H: Hands>(map: &OpenMap, hands: &mut H) -> Result<Vec<Sounding>, H::Error> {
    let paths = map.snapshot().paths;
    let mut soundings = vec![Sounding::Silence; paths.len()];
    let mut news = vec![VecDeque::new(); paths.len()];
    let mut open = 0_usize;
    for (path, sounding) in paths.iter().zip(&mut soundings) {
        if path.state == PathState::Dead {
            *sounding = Sounding::Always(Answer::NotSent);
        } else {
            hands.send(Ticket(path.id.0), path.id, &question())?;
            open += 1;
        }
    }
    while open > 0 && hands.now() < PATIENCE {
        let Some(Event::Answered { ticket, answer }) = hands.wait(PATIENCE)? else {
            continue;
        };
        let at = usize::try_from(ticket.0).unwrap_or(usize::MAX);
        let (Some(news), Some(sounding)) = (news.get_mut(at), soundings.get_mut(at)) else {
            continue;
        };
        if is_news(&answer) && news.len() < MOST_NEWS {
            news.push_back(answer);
            hands.send(ticket, PathId(ticket.0), &question())?;
            continue;
        }
        open -= 1;
        *sounding = Sounding::of(answer, std::mem::take(news));
    }
    Ok(soundings)
}

impl Sounding {
    fn of(answer: Answer, news: VecDeque<Answer>) -> Self {
        match class(&answer) {
            Some(AnswerClass::Done) => Self::Device { news },
            _ => Self::Always(answer),
        }
    }
}

fn is_news(answer: &Answer) -> bool {
    matches!(class(answer), Some(AnswerClass::UnitAttention(_)))
}

/// What a status means; `None`: there was none.
pub(super) fn class(answer: &Answer) -> Option<AnswerClass> {
    match answer {
        Answer::Status { status, sense, .. } => Some(scsi_pr::classify(*status, sense.as_ref())),
        Answer::NotSent | Answer::Lost => None,
    }
}

fn question() -> Command {
    Command::read(InAction::READ_RESERVATION, ROOM)
}

/// A path that hangs is taken for silent after this; a path that works answers in milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// A nexus has one of each kind waiting at most.
const MOST_NEWS: usize = 6;

/// READ RESERVATION has 24 bytes (SPC-4 6.15.3); sg_persist asks for this many as well.
const ROOM: u16 = 8192;
