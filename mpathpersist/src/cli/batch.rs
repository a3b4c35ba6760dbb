//! Batch files: many command lines for one start of the program.
//!
//! Here because their little language (words, comments, an optional leading program name) is a
//! contract of its own. The words of a line then go through [`super::args`] like any others.
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The most bytes of a batch file that are read; far more than anyone writes, so that a wrong
/// file name (a disk, `/dev/zero`) ends in an error and not in swap.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// The most bytes of one line: 32 TransportIDs of the longest iSCSI name fit twice.
pub const MAX_LINE_BYTES: usize = 1 << 14;

/// One line with at least one word on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands in the file, the first line being 1.
    pub number: usize,
    /// Its words, without comment and without a leading `mpathpersist`.
    pub words: Result<Vec<OsString>, LineTooLong>,
}

/// A line of more than [`MAX_LINE_BYTES`] bytes.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("line is longer than {MAX_LINE_BYTES} bytes")]
pub struct LineTooLong;

/// Why the lines of a batch file could not be read.
#[derive(Debug, Error)]
pub enum BatchError {
    /// It cannot be opened.
    #[error("unable to open {}: {}", .path.display(), message(.source))]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be read to its end.
    #[error("unable to read {}: {}", .path.display(), message(.source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is larger than [`MAX_FILE_BYTES`].
    #[error("{}: a batch file has at most {MAX_FILE_BYTES} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a batch file.
pub fn read_lines(path: &Path) -> Result<Vec<Line>, BatchError> {
    let file = File::open(path).map_err(|source| BatchError::Open {
        path: path.to_owned(),
        source,
    })?;
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|source| BatchError::Read {
            path: path.to_owned(),
            source,
        })?;
    if text.len() > MAX_FILE_BYTES {
        return Err(BatchError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(parse_lines(&text))
}

/// The lines of a batch file's text that have words.
pub fn parse_lines(text: &[u8]) -> Vec<Line> {
    text.split(|byte| *byte == b'\n')
        .zip(1..)
        .map(|(line, number)| Line {
            number,
            words: parse_words(line),
        })
        .filter(|line| line.words.as_ref().map_or(true, |words| !words.is_empty()))
        .collect()
}

/// Words are separated by blanks; a `#` that starts a word starts a comment.
fn parse_words(line: &[u8]) -> Result<Vec<OsString>, LineTooLong> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineTooLong);
    }
    let words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .take_while(|word| !word.starts_with(b"#"));
    let mut words = words.peekable();
    words.next_if_eq(&PROGRAM);
    Ok(words
        .map(|word| OsStr::from_bytes(word).to_owned())
        .collect())
}

/// The system's words for an error, without the number that Rust appends.
fn message(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.to_string(),
        |number| Errno::from_raw(number).desc().to_owned(),
    )
}

const PROGRAM: &[u8] = b"mpathpersist";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &[&str])]) {
        let lines = parse_lines(text.as_bytes());
        let lines: Vec<(usize, Vec<String>)> = lines
            .into_iter()
            .map(|line| {
                let words = line.words.unwrap().into_iter();
                (
                    line.number,
                    words.map(|word| word.into_string().unwrap()).collect(),
                )
            })
            .collect();
        let expected: Vec<(usize, Vec<String>)> = expected
            .iter()
            .map(|(number, words)| (*number, words.iter().map(|&word| word.into()).collect()))
            .collect();
        assert_eq!(lines, expected, "{text:?}");
    }

    #[test]
    fn words_comments_and_empty_lines() {
        check("", &[]);
        check("\n  \n\t\n", &[]);
        check("-i -k dev\n", &[(1, &["-i", "-k", "dev"])]);
        check("-i\t-k \r\n\n-o", &[(1, &["-i", "-k"]), (3, &["-o"])]);
        check("# all\n -i # rest\n#", &[(2, &["-i"])]);
        check("-d a#b", &[(1, &["-d", "a#b"])]);
        check("-i '-k'", &[(1, &["-i", "'-k'"])]);
    }

    #[test]
    fn program_name_is_dropped_once_and_only_in_front() {
        check("mpathpersist -i", &[(1, &["-i"])]);
        check("mpathpersist", &[]);
        check("mpathpersist mpathpersist", &[(1, &["mpathpersist"])]);
        check("-d mpathpersist", &[(1, &["-d", "mpathpersist"])]);
        check("mpathpersistx", &[(1, &["mpathpersistx"])]);
    }

    #[test]
    fn a_line_has_a_bound_and_the_next_one_is_still_read() {
        let text = format!("{}\n-i", "x".repeat(MAX_LINE_BYTES + 1));
        let lines = parse_lines(text.as_bytes());
        assert_eq!(
            lines[0],
            Line {
                number: 1,
                words: Err(LineTooLong)
            }
        );
        assert_eq!(lines[1].number, 2);
        let text = "x".repeat(MAX_LINE_BYTES);
        assert!(parse_lines(text.as_bytes())[0].words.is_ok());
    }

    #[test]
    fn files_have_a_bound() {
        let path = Path::new("/dev/zero");
        assert!(matches!(read_lines(path), Err(BatchError::TooLarge { .. })));
    }

    #[test]
    fn a_missing_file_is_named_as_existing_tools_do() {
        let error = read_lines(Path::new("/nonexistent")).unwrap_err();
        let expected = "unable to open /nonexistent: No such file or directory";
        assert_eq!(error.to_string(), expected);
        let error = read_lines(Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "unable to read /: Is a directory");
    }
}
