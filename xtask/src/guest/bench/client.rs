//! A client of either daemon's socket, without a process for each question.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use crate::error::{Context, Error, Result};

/// Connects, asks, and reads the answer: what a client does.
pub(super) fn ask(command: &str) -> Result<String> {
    let what = || format!("cannot ask the daemon to {command}");
    let address = SocketAddr::from_abstract_name(ADDRESS).context(what)?;
    let mut stream = UnixStream::connect_addr(&address).context(what)?;
    stream.set_read_timeout(Some(PATIENCE)).context(what)?;
    let message = [command.as_bytes(), &[0]].concat();
    let frame = [&message.len().to_ne_bytes(), message.as_slice()].concat();
    stream.write_all(&frame).context(what)?;
    let mut length = [0; size_of::<usize>()];
    stream.read_exact(&mut length).context(what)?;
    let length = usize::from_ne_bytes(length);
    if length > LONGEST {
        return Err(Error::unexpected(format!("{length} bytes to {command}")));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).context(what)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.trim_end_matches('\0').to_owned())
}

const ADDRESS: &str = "/org/kernel/linux/storage/multipathd";

/// The distribution's daemon has been seen to take half a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// Far more than any answer.
const LONGEST: usize = 64 << 20;
