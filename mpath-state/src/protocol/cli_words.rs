//! The words of a command: synonyms, and abbreviations that fit one word only, as multipathd
//! takes them.

use crate::words::{Word, split};

use super::CommandError;

/// Splits a request and writes each keyword out; names and other values stay as they are.
pub(super) fn canonical(text: &str) -> Result<Vec<String>, CommandError> {
    let unknown = || CommandError::Unknown {
        text: text.trim().to_owned(),
    };
    let words = split(text.trim_end()).map_err(|_| CommandError::MissingQuote)?;
    let mut written = Vec::new();
    let mut is_value = false;
    for Word { text, .. } in words {
        if is_value {
            written.push(text);
            is_value = false;
            continue;
        }
        let keyword = find(&text).ok_or_else(unknown)?;
        is_value = keyword.takes == Takes::Value;
        written.push(keyword.means.to_owned());
    }
    if is_value {
        return Err(unknown());
    }
    Ok(written)
}

/// The keyword that `word` is, or the only one that it begins.
fn find(word: &str) -> Option<&'static Keyword> {
    let exact = KEYWORDS.iter().find(|keyword| keyword.word == word);
    exact.or_else(|| {
        let mut begun = KEYWORDS
            .iter()
            .filter(|keyword| keyword.word.starts_with(word));
        let first = begun.next().filter(|_| !word.is_empty())?;
        begun
            .all(|other| other.means == first.means)
            .then_some(first)
    })
}

struct Keyword {
    word: &'static str,
    means: &'static str,
    takes: Takes,
}

#[derive(PartialEq, Eq)]
enum Takes {
    Nothing,
    /// The next word is a name, a number or a format.
    Value,
}

const fn plain(word: &'static str) -> Keyword {
    alias(word, word)
}

const fn alias(word: &'static str, means: &'static str) -> Keyword {
    Keyword {
        word,
        means,
        takes: Takes::Nothing,
    }
}

const fn valued(word: &'static str, means: &'static str) -> Keyword {
    Keyword {
        word,
        means,
        takes: Takes::Value,
    }
}

/// multipathd(8), and the verbs of 0.14. Words that mean nothing here are listed as well, so that
/// an abbreviation means the same as there or nothing.
const KEYWORDS: &[Keyword] = &[
    alias("list", "show"),
    plain("show"),
    plain("add"),
    plain("remove"),
    alias("del", "remove"),
    plain("switch"),
    plain("switchgroup"),
    plain("suspend"),
    plain("resume"),
    plain("reinstate"),
    plain("fail"),
    plain("resize"),
    plain("reset"),
    plain("reload"),
    plain("forcequeueing"),
    plain("disablequeueing"),
    plain("restorequeueing"),
    plain("paths"),
    plain("maps"),
    alias("multipaths", "maps"),
    valued("path", "path"),
    valued("map", "map"),
    valued("multipath", "map"),
    valued("group", "group"),
    plain("reconfigure"),
    plain("daemon"),
    plain("status"),
    plain("stats"),
    plain("topology"),
    plain("config"),
    plain("blacklist"),
    plain("devices"),
    plain("raw"),
    plain("wildcards"),
    plain("quit"),
    plain("exit"),
    plain("shutdown"),
    plain("getprstatus"),
    plain("setprstatus"),
    plain("unsetprstatus"),
    plain("getprkey"),
    plain("setprkey"),
    plain("unsetprkey"),
    plain("getprhold"),
    plain("setprhold"),
    plain("unsetprhold"),
    valued("pathlist", "pathlist"),
    valued("format", "format"),
    valued("fmt", "format"),
    valued("key", "key"),
    plain("json"),
    plain("local"),
    plain("setmarginal"),
    plain("unsetmarginal"),
    plain("all"),
    plain("help"),
    plain("ping"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let written = canonical(text).ok().map(|words| words.join("|"));
        assert_eq!(written.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn words_are_written_out() {
        check("list multipaths", Some("show|maps"));
        check("sho path sh", Some("show|path|sh"));
        check("lis maps j", Some("show|maps|json"));
        check("li ma a j", None);
        check(
            "show multipath \"my disk\" topo",
            Some("show|map|my disk|topology"),
        );
        check("reconf", Some("reconfigure"));
        check("show maps raw fmt %n", Some("show|maps|raw|format|%n"));
        check("del map a", Some("remove|map|a"));
    }

    #[test]
    fn what_may_mean_two_things_means_none() {
        check("sh daemon", None);
        check("s", None);
        check("re", None);
        check("getpr map a", None);
        check("show multip a", None);
        check("show map", None);
        check("", Some(""));
    }
}
