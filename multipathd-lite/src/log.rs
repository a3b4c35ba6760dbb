//! Log lines: to stderr, for people or for the journal, or to syslog.
//!
//! A thread of its own writes them: when the journal's disk is one whose map waits for us, nobody
//! reads what we write, and the daemon must not wait with it. Lines that find no room are counted
//! and dropped.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Where log lines go and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// stderr, with the time and the level as a word.
    Terminal,
    /// stderr, with the level as a word.
    TerminalTimeless,
    /// stderr, with the level as sd-daemon(3) has it.
    Journal,
    /// `/dev/log`
    Syslog,
}

impl Sink {
    /// The journal if stderr is connected to it, otherwise the terminal.
    #[must_use]
    pub fn of_environment() -> Self {
        match std::env::var_os("JOURNAL_STREAM") {
            Some(_) => Self::Journal,
            None => Self::TerminalTimeless,
        }
    }
}

/// Begins to log; how much depends on `verbosity`. What this returns ends the log.
///
/// # Errors
/// There can be no thread.
pub fn start(sink: Sink, verbosity: u8) -> io::Result<LogEnd> {
    let (sender, receiver) = sync_channel(MAX_PENDING);
    let lost = Arc::new(AtomicU64::new(0));
    let ended = Arc::clone(&lost);
    let (end_sender, end) = sync_channel(0);
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            write_lines(sink, &receiver, &ended);
            drop(end_sender);
        })?;
    let lines = Lines {
        sender: sender.clone(),
        lost,
    };
    tracing_subscriber::fmt()
        .with_max_level(level(verbosity))
        .with_writer(lines)
        .event_format(Form(sink))
        .init();
    Ok(LogEnd { sender, end })
}

const fn level(verbosity: u8) -> LevelFilter {
    match verbosity {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::WARN,
        2 => LevelFilter::INFO,
        3 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Lets the last lines out, if somebody takes them.
#[derive(Debug)]
pub struct LogEnd {
    sender: SyncSender<Line>,
    end: Receiver<()>,
}

impl Drop for LogEnd {
    fn drop(&mut self) {
        if self.sender.try_send(Line::End).is_ok() {
            let _ = self.end.recv_timeout(MAX_FAREWELL);
        }
    }
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    End,
}

fn write_lines(sink: Sink, lines: &Receiver<Line>, lost: &AtomicU64) {
    let mut syslog = None;
    while let Ok(Line::Text(mut line)) = lines.recv() {
        let dropped = lost.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            line.extend_from_slice(format!("({dropped} log lines were lost before)\n").as_bytes());
        }
        // If nobody takes the log, there is nobody to tell.
        let _ = match sink {
            Sink::Syslog => send(&mut syslog, &line),
            _ => io::stderr().write_all(&line),
        };
    }
}

fn send(socket: &mut Option<UnixDatagram>, line: &[u8]) -> io::Result<()> {
    if let Some(open) = socket {
        match open.send(line) {
            Ok(_) => return Ok(()),
            Err(_) => *socket = None,
        }
    }
    let open = UnixDatagram::unbound()?;
    open.connect(SYSLOG_SOCKET)?;
    open.send(line)?;
    *socket = Some(open);
    Ok(())
}

/// Gives each event to the thread, as a whole.
struct Lines {
    sender: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

struct OneLine<'a> {
    lines: &'a Lines,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = OneLine<'a>;

    fn make_writer(&'a self) -> OneLine<'a> {
        OneLine {
            lines: self,
            bytes: Vec::new(),
        }
    }
}

impl Write for OneLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for OneLine<'_> {
    fn drop(&mut self) {
        let line = Line::Text(std::mem::take(&mut self.bytes));
        if self.lines.sender.try_send(line).is_err() {
            self.lines.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One line for an event.
struct Form(Sink);

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        match self.0 {
            Sink::Terminal => {
                SystemTime.format_time(&mut writer)?;
                write!(writer, " {}: ", word(level))?;
            }
            Sink::TerminalTimeless => write!(writer, "{}: ", word(level))?,
            Sink::Journal => write!(writer, "<{}>", severity(level))?,
            Sink::Syslog => {
                let priority = FACILITY_DAEMON | severity(level);
                write!(
                    writer,
                    "<{priority}>multipathd-lite[{}]: ",
                    std::process::id()
                )?;
            }
        }
        context.format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// syslog(3)
const fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// multipathd's: what happens, without details.
pub const DEFAULT_VERBOSITY: u8 = 2;

/// syslog(3): `LOG_DAEMON`
const FACILITY_DAEMON: u8 = 3 << 3;
/// Where syslog, and the journal in its place, listens.
const SYSLOG_SOCKET: &str = "/dev/log";
/// Log lines that nobody has taken yet: some seconds of a host that loses all its paths.
const MAX_PENDING: usize = 4096;
/// The daemon ends within a second; this is what the log may take of it.
const MAX_FAREWELL: Duration = Duration::from_millis(200);
