//! A schedule as text: `mp1pv-0y14.1L23x2-k7ab`.
//!
//! ```text
//!  mp1    the format: maypole, version 1
//!  p, e   where tasks switch: parking, everywhere
//!  v, r   the clock: virtual, real
//!  0y14   a choice: the answer, the operation, its line
//!  x2     the same, twice
//!  k7ab   a checksum of all that comes before
//! ```
//!
//! A small letter names what the task did that gave way, a capital what the running task is about
//! to do; `q` is a case of a `select!`, `m` a number that the program asked for. No character needs
//! quoting in a shell.
use super::{Kind, Meeting, Switches};
use crate::scheduler::wait::{Wait, What};
use std::fmt;
use std::str::FromStr;

/// The answers of a run, in order, and what they were answers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trail {
    pub(crate) switches: Switches,
    pub(crate) virtual_time: bool,
    pub(crate) tokens: Vec<Token>,
}

/// One choice: the answer, and as much of the question as tells a changed program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) answer: usize,
    letter: char,
    line: u32,
}

/// The letters of the operations, and how they are called. Those of other calls are `t`.
const OPERATIONS: &[(char, &str)] = &[
    ('a', "acquire"),
    ('b', "wait at a Barrier"),
    ('c', "select"),
    ('d', "read"),
    ('e', "wait for an Event"),
    ('f', "the end of a task"),
    ('g', "wait for a WaitGroup"),
    ('h', "atomically"),
    ('i', "get_or_init"),
    ('j', "join"),
    ('k', "check_killed"),
    ('l', "lock"),
    ('n', "spawn_now"),
    ('o', "the end of a scope"),
    ('r', "recv"),
    ('s', "send"),
    ('t', "a call"),
    ('u', "park"),
    ('v', "wait for a Condvar"),
    ('w', "write"),
    ('x', "wait for the world outside"),
    ('y', "yield_now"),
    ('z', "sleep"),
];

/// The name of the operation that ends a task.
pub(crate) const END: &str = "end";

fn letter(what: What) -> char {
    match what {
        What::Join(_) => 'j',
        What::Scope => 'o',
        What::Sleep => 'z',
        What::Unpark => 'u',
        What::Send => 's',
        What::Recv => 'r',
        What::Select => 'c',
        What::Lock => 'l',
        What::Read => 'd',
        What::Write => 'w',
        What::Condvar => 'v',
        What::Acquire => 'a',
        What::Barrier => 'b',
        What::Once => 'i',
        What::Event => 'e',
        What::WaitGroup => 'g',
        What::Atomically => 'h',
        What::Turn => 'y',
        What::Nest => 'n',
        What::Check => 'k',
        What::Input
        | What::Output
        | What::Accept
        | What::Connect
        | What::Offload
        | What::Thread
        | What::Job
        | What::Future
        | What::Signal
        | What::Process => 'x',
        What::Call(END) => 'f',
        What::Call(_) => 't',
    }
}

impl Token {
    pub(crate) fn new(kind: Kind, wait: Wait, answer: usize) -> Self {
        let letter = match kind {
            Kind::Turn => letter(wait.what),
            Kind::Switch => letter(wait.what).to_ascii_uppercase(),
            Kind::Case => 'q',
            Kind::Any => 'm',
        };
        Token {
            answer,
            letter,
            line: wait.at.line(),
        }
    }

    /// Whether it answers such a choice, however many there are to choose from.
    pub(crate) fn is_of(&self, met: &Meeting) -> bool {
        *self == Token::new(met.kind, met.wait, self.answer)
    }
}

/// What was recorded, in words.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = self.letter.to_ascii_lowercase();
        let name = OPERATIONS.iter().find(|(letter, _)| *letter == small);
        match (self.letter, name) {
            ('q', _) => f.write_str("a case of select")?,
            ('m', _) => f.write_str("explore::any")?,
            (_, Some((_, name))) => f.write_str(name)?,
            (_, None) => f.write_str("an operation")?,
        }
        write!(f, " at line {}", self.line)
    }
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.unsigned();
        write!(f, "{text}-{}", checksum(&text))
    }
}

impl Trail {
    fn unsigned(&self) -> String {
        use fmt::Write;
        let mut text = String::from("mp1");
        text.push(match self.switches {
            Switches::Parking => 'p',
            Switches::Everywhere => 'e',
        });
        text.push(match self.virtual_time {
            true => 'v',
            false => 'r',
        });
        let mut separator = '-';
        for run in self.tokens.chunk_by(|left, right| left == right) {
            let token = run[0];
            let _ = write!(
                text,
                "{separator}{}{}{}",
                token.answer, token.letter, token.line
            );
            if run.len() > 1 {
                let _ = write!(text, "x{}", run.len());
            }
            separator = '.';
        }
        text
    }
}

/// Four characters that no typing error in the text is likely to leave the same.
fn checksum(text: &str) -> String {
    // FNV-1a (Fowler, Noll and Vo, 1991), folded to 20 bits.
    let hash = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let folded = hash ^ (hash >> 20) ^ (hash >> 40);
    let digit = |place: u32| DIGITS[(folded >> (5 * place)) as usize % DIGITS.len()] as char;
    (0..4).map(digit).collect()
}

/// Without those that are easily taken for another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

// ── reading ──────────────────────────────────────────────────────────────────────────────────

/// More choices than this are no trail of ours.
const TOKENS_AT_MOST: usize = 1 << 24;

impl FromStr for Trail {
    /// What is wrong with the text.
    type Err = String;

    fn from_str(text: &str) -> Result<Trail, String> {
        let text = text.trim();
        let mut rest = text;
        let Some(version) = rest.strip_prefix("mp") else {
            return Err("it does not begin with mp1".into());
        };
        let digits = version.len()
            - version
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        match &version[..digits] {
            "1" => rest = &version[digits..],
            "" => return Err("it does not begin with mp1".into()),
            other => {
                return Err(format!(
                    "it is of version {other}, and this maypole reads version 1"
                ));
            }
        }
        let Some((body, signature)) = rest.rsplit_once('-') else {
            return Err("it has no checksum at its end: it was cut short".into());
        };
        let expected = checksum(&text[..text.len() - signature.len() - 1]);
        if signature != expected {
            return Err(format!(
                "its checksum is {expected} and not {signature:?}: it was mistyped or cut short"
            ));
        }
        let (head, tokens) = body.split_once('-').unwrap_or((body, ""));
        let (switches, virtual_time) = match head {
            "pv" => (Switches::Parking, true),
            "pr" => (Switches::Parking, false),
            "ev" => (Switches::Everywhere, true),
            "er" => (Switches::Everywhere, false),
            other => {
                return Err(format!(
                    "{other:?} after mp1 is neither pv, pr, ev nor er: switches and clock"
                ));
            }
        };
        let mut trail = Trail {
            switches,
            virtual_time,
            tokens: Vec::new(),
        };
        let texts = tokens.split('.').filter(|_| !tokens.is_empty());
        for (nth, text) in texts.enumerate() {
            let Some((token, times)) = read_token(text) else {
                return Err(format!(
                    "part {} of it, {text:?}, is no answer, letter and line",
                    nth + 1
                ));
            };
            if times > TOKENS_AT_MOST - trail.tokens.len() {
                return Err("it is too long".into());
            }
            trail.tokens.extend(std::iter::repeat_n(token, times));
        }
        Ok(trail)
    }
}

/// A token, and how often it comes.
fn read_token(text: &str) -> Option<(Token, usize)> {
    let place = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (answer, rest) = text.split_at(place);
    let letter = rest.chars().next()?;
    let rest = &rest[1..];
    let (line, times) = match rest.split_once('x') {
        Some((line, times)) => (line, times.parse().ok()?),
        None => (rest, 1),
    };
    let token = Token {
        answer: answer.parse().ok()?,
        letter,
        line: line.parse().ok()?,
    };
    Some((token, times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::Location;

    fn token(kind: Kind, what: What, answer: usize) -> Token {
        let at = Location::caller();
        Token::new(kind, Wait { what, at }, answer)
    }

    fn sample() -> Trail {
        Trail {
            switches: Switches::Everywhere,
            virtual_time: true,
            tokens: vec![
                token(Kind::Turn, What::Turn, 0),
                token(Kind::Switch, What::Lock, 2),
                token(Kind::Switch, What::Lock, 2),
                token(Kind::Case, What::Select, 1),
                token(Kind::Any, What::Call("any"), 12),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for tokens in [sample().tokens, Vec::new()] {
            for (switches, virtual_time) in
                [(Switches::Parking, true), (Switches::Everywhere, false)]
            {
                let trail = Trail {
                    switches,
                    virtual_time,
                    tokens: tokens.clone(),
                };
                assert_eq!(trail.to_string().parse(), Ok(trail));
            }
        }
    }

    #[test]
    fn equal_choices_are_written_once_and_nothing_needs_quoting() {
        let text = sample().to_string();
        assert!(text.contains("x2."), "{text}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        assert!(text.chars().all(plain), "{text}");
    }

    #[test]
    fn every_mistyped_character_is_noticed() {
        let text = sample().to_string();
        for at in 0..text.len() {
            for wrong in ["0", "z", "-", ".", "x", ""] {
                let mut damaged = text.clone();
                damaged.replace_range(at..at + 1, wrong);
                if damaged != text {
                    let read = damaged.parse::<Trail>();
                    assert!(read.is_err(), "{damaged} was read as {read:?}");
                }
            }
        }
    }

    #[test]
    fn an_error_names_what_is_wrong() {
        let wrong = |text: &str| text.parse::<Trail>().expect_err(text);
        let signed = |text: &str| wrong(&format!("{text}-{}", checksum(text)));
        assert!(wrong("").contains("mp1"));
        assert!(wrong("hello").contains("mp1"));
        assert!(wrong("mp2pv-0y1-abcd").contains("version 2"));
        assert!(wrong("mp1pv").contains("cut short"));
        assert!(wrong("mp1pv-0y1-abcd").contains("checksum"));
        assert!(signed("mp1xv-0y1").contains("\"xv\""));
        assert!(signed("mp1pv-0y1.1").contains("part 2"));
        assert!(signed("mp1pv-0y1..0y1").contains("part 2"));
        assert!(signed("mp1pv-0y1x99999999999").contains("too long"));
    }
}
