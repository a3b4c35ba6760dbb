//! The daemon as a service: one of its kind, told to the service manager, ended by signals.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mpath_state::config::Config;
use mpath_state::protocol::SocketAddress;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use sd_notify::NotifyState;

use crate::ask::Handle;
use crate::command_line::DaemonOptions;
use crate::engine::Engine;
use crate::event_loop::{EventLoop, Heart};
use crate::log::{self, Sink};
use crate::metrics::Metrics;
use crate::model::Activity;
use crate::pid_file::{PidFile, PidFileError};
use crate::places::{Home, Places};
use crate::rules::Rules;
use crate::server::{Limits, Listener, Server};
use crate::tasks::Tools;

/// The daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// It needs root.
    #[error("need to be root")]
    NotRoot,
    /// Another one runs.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// Clients could not reach it.
    #[error(
        "cannot listen at {address}: {source}; if it is in use, stop multipathd.service and \
         multipathd.socket first"
    )]
    Listen {
        /// Where.
        address: SocketAddress,
        /// Why not.
        source: io::Error,
    },
    /// The system refuses something that is needed.
    #[error("cannot {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The daemon in the background ended before it was ready.
    #[error("the daemon did not start: see its log")]
    NotStarted,
}

/// Runs the daemon until it is told to end.
///
/// # Errors
/// See [`ServiceError`].
pub fn run(options: DaemonOptions, places: &Places, home: Home) -> Result<(), ServiceError> {
    let user = nix::unistd::geteuid();
    // A sandbox is its owner's: nothing outside it is touched.
    let is_sandbox = home.host.sandbox.is_some();
    if !user.is_root() && !is_sandbox {
        return Err(ServiceError::NotRoot);
    }
    if !options.is_foreground && std::env::var_os(BACKGROUND_ENV).is_none() {
        return start_in_background(options, places);
    }
    let signals = take_signals()?;
    let config = Config::load(&home.host.config).config;
    let verbosity = options.verbosity.unwrap_or(config.verbosity().value);
    let _log = log::start(sink(options), verbosity).or_fail("begin to log")?;
    let _pid_file = PidFile::create(&home.pid_file)?;
    if !is_sandbox {
        prepare_process();
    }
    let limits = Limits {
        root_uid: user.as_raw(),
        ..limits(&config)
    };
    let tools = Tools {
        host: Arc::new(home.host),
        files: Arc::new(home.files),
        told: Arc::default(),
    };
    serve(tools, signals, listeners(home.listen)?, limits)
}

fn serve(
    tools: Tools,
    signals: SignalFd,
    listeners: Vec<Listener>,
    limits: Limits,
) -> Result<(), ServiceError> {
    let rules = Rules::load(&tools.host, &tools.files);
    let engine = Engine::new(rules, Instant::now());
    let event_loop = EventLoop::new(engine, tools).or_fail("wait for events")?;
    let handle = event_loop.handle();
    let server = Server::new(handle.clone(), listeners, limits)
        .and_then(|server| server.with_signals(signals))
        .or_fail("wait for clients")?;
    let remote = server.remote();
    let metrics = Metrics::start(handle.clone(), server.tally()).or_fail("start a thread")?;
    let thread = thread::Builder::new().name("clients".to_owned());
    let core = handle.clone();
    let thread = thread
        .spawn(move || {
            let served = server.run();
            // Without clients and signals nobody could end the daemon.
            core.shutdown();
            served
        })
        .or_fail("start a thread")?;
    tracing::info!("multipathd-lite {} runs", env!("CARGO_PKG_VERSION"));
    let ran = event_loop
        .with_metrics(metrics)
        .with_heart(heart(handle))
        .run();
    tell(&[NotifyState::Stopping]);
    remote.stop();
    match thread.join() {
        Ok(served) => served.or_fail("serve clients")?,
        Err(_) => tracing::error!("the thread for clients has panicked"),
    }
    tracing::info!("multipathd-lite ends; maps and registrations stay as they are");
    ran.or_fail("wait for events")
}

/// Starts this program again, apart from the terminal, and waits until it is ready.
fn start_in_background(options: DaemonOptions, places: &Places) -> Result<(), ServiceError> {
    let program = std::env::current_exe().or_fail("find this program")?;
    let mut command = Command::new(program);
    if let Some(level) = options.verbosity {
        command.arg(format!("-v{level}"));
    }
    let child = command
        .args(places.options())
        .env(BACKGROUND_ENV, "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn();
    let mut child = child.or_fail("start this program again")?;
    if let Some(mut ready) = child.stdout.take() {
        // It closes its stdout when it is ready, or ends.
        io::copy(&mut ready, &mut io::sink()).or_fail("wait for the daemon")?;
    }
    match child.try_wait().or_fail("wait for the daemon")? {
        None => Ok(()),
        Some(_) => Err(ServiceError::NotStarted),
    }
}

/// Whoever started the daemon in the background is let go; the terminal may go as well.
fn let_go_of_starter() {
    if std::env::var_os(BACKGROUND_ENV).is_none() {
        return;
    }
    let let_go = || {
        let _ = nix::unistd::setsid();
        let null = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        nix::unistd::dup2_stdout(&null)?;
        nix::unistd::dup2_stderr(&null)?;
        Ok::<_, io::Error>(())
    };
    if let Err(error) = let_go() {
        tracing::warn!("cannot leave the terminal: {error}");
    }
}

/// Blocks the signals that the server takes, in this thread and all that it starts.
fn take_signals() -> Result<SignalFd, ServiceError> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        set.add(signal);
    }
    let blocked = set.thread_block().map_err(io::Error::from);
    blocked.or_fail("block signals")?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    SignalFd::with_flags(&set, flags)
        .map_err(io::Error::from)
        .or_fail("take signals")
}

fn sink(options: DaemonOptions) -> Sink {
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        Sink::Journal
    } else if !options.is_foreground {
        Sink::Syslog
    } else if options.is_timeless {
        Sink::TerminalTimeless
    } else {
        Sink::Terminal
    }
}

/// What the daemon is better off with; it runs without, too.
fn prepare_process() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard.min(MAX_DESCRIPTORS), hard));
    if let Err(errno) = raised {
        tracing::warn!("clients may find no room: cannot raise the limit of descriptors: {errno}");
    }
    // The disk that memory would be paged in from may be one whose map waits for us. Pages are
    // locked once they are used, so that the stacks of threads cost nothing.
    let flags = MlockAllFlags::MCL_CURRENT
        | MlockAllFlags::MCL_FUTURE
        | MlockAllFlags::from_bits_retain(nix::libc::MCL_ONFAULT);
    if let Err(errno) = mlockall(flags) {
        tracing::warn!("cannot lock memory: {errno}");
    }
}

fn limits(config: &Config) -> Limits {
    let patience = Duration::from_millis(config.uxsock_timeout_ms().value.into());
    Limits {
        // `timeout` has to reach the client before it gives up.
        core_patience: patience.saturating_sub(TIMEOUT_MARGIN),
        ..Limits::default()
    }
}

fn listeners(addresses: Vec<SocketAddress>) -> Result<Vec<Listener>, ServiceError> {
    let bind = |address: SocketAddress| {
        Listener::bind(&address).map_err(|source| ServiceError::Listen { address, source })
    };
    addresses.into_iter().map(bind).collect()
}

/// Tells the service manager that the daemon is ready, once it has looked at the whole host, and
/// from then on that it lives.
fn heart(handle: Handle) -> Heart {
    let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    let mut is_ready = false;
    let mut last_beat: Option<Instant> = None;
    let beat = move || {
        if !is_ready && handle.snapshot().activity != Activity::Configuring {
            is_ready = true;
            tell(&[NotifyState::Ready]);
            let_go_of_starter();
        }
        let is_due = |interval| last_beat.is_none_or(|last| last.elapsed() >= interval / 2);
        if watchdog.is_some_and(is_due) {
            last_beat = Some(Instant::now());
            tell(&[NotifyState::Watchdog]);
        }
    };
    Heart {
        interval: watchdog.map_or(Duration::MAX, |interval| interval / 2),
        beat: Box::new(beat),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("cannot tell the service manager: {error}");
    }
}

trait OrFail<T> {
    /// Says what could not be done.
    fn or_fail(self, what: &'static str) -> Result<T, ServiceError>;
}

impl<T> OrFail<T> for io::Result<T> {
    fn or_fail(self, what: &'static str) -> Result<T, ServiceError> {
        self.map_err(|source| ServiceError::System { what, source })
    }
}

/// Set for the daemon in the background by the one who starts it.
const BACKGROUND_ENV: &str = "MULTIPATHD_LITE_BACKGROUND";

/// Room for all clients, the pipes of all checks and some.
const MAX_DESCRIPTORS: u64 = 65_536;

/// How long before the client's patience ends it is told `timeout`.
const TIMEOUT_MARGIN: Duration = Duration::from_millis(500);
