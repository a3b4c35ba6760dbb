//! Booting the guest: one QEMU process, no KVM, no network, no root. The root disk is written to a
//! temporary overlay, so every boot starts clean.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};
use crate::lab::binaries::Binary;
use crate::lab::image::Image;
use crate::process;

/// Who uses the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// Nobody: what the job writes is streamed to standard output.
    Stream,
    /// A person at a terminal, which becomes the guest's serial port.
    Terminal,
}

/// What the guest's clock goes by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// Real time; two processors.
    #[default]
    Real,
    /// The instructions of its one processor, a nanosecond each: what else the host does has no
    /// part in it. Idle time passes at once.
    Instructions,
}

/// What the guest runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Its clock.
    pub clock: Clock,
    /// Its memory.
    pub memory_mib: u32,
    /// How long it may run.
    pub limit: Duration,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            clock: Clock::Real,
            memory_mib: 2048,
            limit: LIMIT,
        }
    }
}

/// What of this project goes into the guest.
#[derive(Debug)]
pub struct Parts {
    /// Programs, for PATH.
    pub binaries: Vec<Binary>,
    /// Debian packages, in `/mnt/lab/packages`.
    pub packages: Vec<PathBuf>,
}

/// How a job in the guest ended.
#[derive(Debug)]
pub struct Ended {
    /// The job's exit status.
    pub status: u8,
    /// From the start of QEMU to the start of the job.
    pub boot_time: Duration,
}

/// One boot of the guest.
#[derive(Debug)]
pub struct Boot {
    image: Image,
    /// Shared with the guest, at `/mnt/lab`.
    share: PathBuf,
    console: Console,
    machine: Machine,
}

impl Boot {
    /// Prepares a boot that runs `job` (a command line) with these parts; `share` is a folder of
    /// its own, which the guest sees.
    ///
    /// # Errors
    /// If the shared folder cannot be filled.
    pub fn prepare(
        image: &Image,
        share: &Path,
        parts: &Parts,
        job: &[String],
        console: Console,
    ) -> Result<Self> {
        let _ = fs::remove_dir_all(share);
        let (bin, packages) = (share.join("bin"), share.join("packages"));
        for folder in [&bin, &packages] {
            fs::create_dir_all(folder).context(|| format!("cannot make {}", folder.display()))?;
        }
        let packages = parts.packages.iter().map(|file| {
            let name = file.file_name().unwrap_or_default();
            (file, packages.join(name))
        });
        let binaries = parts.binaries.iter();
        let binaries = binaries.map(|Binary { name, file }| (file, bin.join(name)));
        for (file, to) in binaries.chain(packages) {
            fs::copy(file, to).context(|| format!("cannot copy {}", file.display()))?;
        }
        let words: Vec<String> = job.iter().map(|word| process::quoted(word)).collect();
        let interactive = if console == Console::Terminal {
            "yes"
        } else {
            "no"
        };
        let text = format!("job=({})\nconsole={interactive}\n", words.join(" "));
        fs::write(share.join("job"), text).context(|| "cannot write the job".to_owned())?;
        Ok(Self {
            image: image.clone(),
            share: share.to_owned(),
            console,
            machine: Machine::default(),
        })
    }

    /// The same boot on another machine.
    #[must_use]
    pub fn with_machine(self, machine: Machine) -> Self {
        Self { machine, ..self }
    }

    /// Boots, waits for the end of the job and removes the shared folder.
    ///
    /// # Errors
    /// If QEMU cannot be started, the guest dies or the time limit is reached; the error has the
    /// end of the guest's console.
    pub fn run(self) -> Result<Ended> {
        let started = Instant::now();
        let mut command = self.command();
        let mut qemu = command
            .spawn()
            .context(|| format!("cannot run `{}`", process::shown(&command)))?;
        let stream = qemu
            .stdout
            .take()
            .map(|pipe| std::thread::spawn(move || pass_on(pipe)));
        let waited = self.wait(&mut qemu, started);
        let _ = qemu.kill();
        let _ = qemu.wait();
        if let Some(stream) = stream {
            let _ = stream.join();
        }
        let boot_time = waited?;
        let ended = self.read_status(boot_time);
        if ended.is_ok() {
            let _ = fs::remove_dir_all(&self.share);
        }
        ended
    }

    /// Waits for QEMU's end; returns how long the guest took to start the job.
    fn wait(&self, qemu: &mut Child, started: Instant) -> Result<Duration> {
        let mut boot_time = None;
        loop {
            if boot_time.is_none() && self.share.join("booted").exists() {
                boot_time = Some(started.elapsed());
            }
            let ended = qemu
                .try_wait()
                .context(|| "cannot wait for QEMU".to_owned())?;
            if ended.is_some() {
                return Ok(boot_time.unwrap_or_default());
            }
            let elapsed = started.elapsed();
            let interactive = self.console == Console::Terminal;
            if boot_time.is_none() && elapsed > BOOT_LIMIT {
                return Err(self.died(&format!("did not boot in {} s", BOOT_LIMIT.as_secs())));
            }
            if elapsed > self.machine.limit && !interactive {
                return Err(self.died(&format!("was not done after {} s", elapsed.as_secs())));
            }
            std::thread::sleep(POLL);
        }
    }

    fn read_status(&self, boot_time: Duration) -> Result<Ended> {
        let text = fs::read_to_string(self.share.join("status")).unwrap_or_default();
        match text.trim().parse() {
            Ok(status) => Ok(Ended { status, boot_time }),
            // A person may leave by ending QEMU.
            Err(_) if self.console == Console::Terminal => Ok(Ended {
                status: 0,
                boot_time,
            }),
            Err(_) => Err(self.died("ended without a result")),
        }
    }

    fn died(&self, how: &str) -> Error {
        let console = fs::read_to_string(self.share.join("console")).unwrap_or_default();
        let lines: Vec<&str> = console.lines().collect();
        let tail = lines.iter().skip(lines.len().saturating_sub(40)).copied();
        let tail = tail.collect::<Vec<_>>().join("\n    ");
        let share = self.share.display();
        Error::unexpected(format!(
            "the guest {how}; its files are in {share}:\n    {tail}"
        ))
    }

    fn command(&self) -> Command {
        // A guest must not outlive its task, however that ends.
        let mut command = process::tool("setpriv");
        command.args(["--pdeathsig=KILL", "qemu-system-x86_64"]);
        command.args(["-cpu", "qemu64,+rdrand", "-nodefaults", "-display", "none"]);
        command.args(self.machine.clock.arguments());
        command.args(["-m", &self.machine.memory_mib.to_string(), "-no-reboot"]);
        command.arg("-kernel").arg(self.image.kernel());
        command.arg("-initrd").arg(self.image.initramfs());
        let messages = if self.console == Console::Terminal {
            "loglevel=1"
        } else {
            "quiet"
        };
        command.args(["-append", &format!("{KERNEL_COMMAND_LINE} {messages}")]);
        let mut drive = process::option("file=", &self.image.root());
        drive.push(",format=raw,if=virtio,snapshot=on,cache=unsafe");
        command.arg("-drive").arg(drive);
        let mut share = process::option("local,path=", &self.share);
        share.push(",mount_tag=lab,security_model=none,multidevs=remap");
        command.arg("-virtfs").arg(share);
        command.args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]);
        match self.console {
            Console::Terminal => {
                command.args(["-serial", "mon:stdio"]);
            }
            Console::Stream => {
                let file = process::option("file:", &self.share.join("console"));
                command.arg("-serial").arg(file);
                // Not "stdio": at the end of its input it counts as closed, and output is dropped.
                command.args(["-chardev", "file,id=out,path=/dev/stdout,append=on"]);
                command.args(["-device", "virtserialport,chardev=out,name=lab.out"]);
                command.stdin(Stdio::null()).stdout(Stdio::piped());
            }
        }
        command
    }
}

impl Clock {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Real => &["-accel", "tcg,thread=multi", "-smp", "2"],
            Self::Instructions => &[
                "-accel",
                "tcg,thread=single",
                "-smp",
                "1",
                "-icount",
                "shift=0,sleep=off",
            ],
        }
    }
}

/// Copies what the job writes to standard output, line by line: another guest may do so too.
fn pass_on(pipe: impl Read) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe
        .read_until(b'\n', &mut line)
        .is_ok_and(|length| length > 0)
    {
        let mut out = std::io::stdout().lock();
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            return;
        }
        line.clear();
    }
}

/// A program that is found at the same addresses each time it starts needs no new translation: its
/// start costs a third.
const KERNEL_COMMAND_LINE: &str = "console=ttyS0 panic=-1 mitigations=off no5lvl nokaslr \
    norandmaps audit=0 random.trust_cpu=on scsi_mod.scan=sync rcupdate.rcu_expedited=1";

/// Longer than any run of all scenarios; a hung guest must not hang CI.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Booting takes ten seconds; on a machine that does much else, more.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

/// How often the end of QEMU is looked for.
const POLL: Duration = Duration::from_millis(50);
