//! The rules of the story, and whether a log keeps them. All three styles are checked by this.
//!
//! 1. Santa calls a group that is complete, and if both are, the reindeer.
//! 2. A block, what is said from one call to the next, has a line for each member of that group, no
//!    other line, and none twice.
//! 3. Every line of a block is said before the next begins.
use crate::world::{Entry, Kind, Sizes};
use std::collections::VecDeque;
use std::fmt;

/// What a good log comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    pub rounds: usize,
    pub with_reindeer: usize,
    /// How often the reindeer were called while elves were ready too.
    pub both_ready: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary {
            rounds,
            with_reindeer,
            both_ready,
        } = self;
        let with_elves = rounds - with_reindeer;
        write!(
            f,
            "checked: {rounds} rounds, {with_reindeer} with the reindeer and {with_elves} with \
             elves; "
        )?;
        match both_ready {
            0 => f.write_str("both groups were never ready at once"),
            _ => write!(
                f,
                "before {both_ready} of them both groups were ready, and the reindeer went first"
            ),
        }
    }
}

/// Where a log breaks a rule.
#[derive(PartialEq, Eq, Debug)]
pub struct Violation {
    /// Counted from 1; one more than there are for the end of the log.
    pub line: usize,
    pub text: String,
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { line, text, rule } = self;
        write!(f, "violated in line {line}, {text:?}: {rule}")
    }
}

/// What a line says, in the words of any style.
enum Said<'a> {
    Rule,
    Calls(Kind),
    Works(Kind, &'a str),
}

fn read(line: &str) -> Option<Said<'_>> {
    let works = |work, kind| Some(Said::Works(kind, line.strip_suffix(work)?));
    match line {
        "----------" => Some(Said::Rule),
        "Ho! Ho! Ho! Let's deliver toys" | "Ho! Ho! Ho! let's deliver toys" => {
            Some(Said::Calls(Kind::Reindeer))
        }
        "Ho! Ho! Ho! Let's meet in my study" | "Ho! Ho! Ho! let's meet in my study" => {
            Some(Said::Calls(Kind::Elf))
        }
        _ => works(" delivers toys", Kind::Reindeer)
            .or_else(|| works(" delivering toys", Kind::Reindeer))
            .or_else(|| works(" meets in study", Kind::Elf))
            .or_else(|| works(" meeting in the study", Kind::Elf)),
    }
}

/// Checks a whole log.
pub fn check(log: &[Entry], sizes: Sizes) -> Result<Summary, Violation> {
    let mut checker = Checker {
        sizes,
        reindeer: VecDeque::new(),
        elves: VecDeque::new(),
        block: None,
        summary: Summary::default(),
    };
    let mut line = 0;
    for entry in log {
        match entry {
            Entry::Joined(kind, name) => checker.waiting(*kind).push_back(name),
            Entry::Line(text) => {
                line += 1;
                checker.line(text).map_err(|rule| Violation {
                    line,
                    text: text.clone(),
                    rule,
                })?;
            }
        }
    }
    checker.ends_block().map_err(|rule| Violation {
        line: line + 1,
        text: "the end".to_string(),
        rule,
    })?;
    Ok(checker.summary)
}

struct Checker<'a> {
    sizes: Sizes,
    /// Those that have joined and were not called yet, in this order.
    reindeer: VecDeque<&'a str>,
    elves: VecDeque<&'a str>,
    block: Option<Block<'a>>,
    summary: Summary,
}

/// What has been said since the last call.
struct Block<'a> {
    kind: Kind,
    called: Vec<&'a str>,
    worked: Vec<&'a str>,
}

impl<'a> Checker<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), String> {
        match read(line) {
            Some(Said::Rule) => self.ends_block(),
            Some(Said::Calls(kind)) => {
                self.ends_block()?;
                self.calls(kind)
            }
            Some(Said::Works(kind, name)) => self.works(kind, name),
            None => Err("nobody says so".to_string()),
        }
    }

    fn calls(&mut self, kind: Kind) -> Result<(), String> {
        let size = self.sizes.group(kind);
        let both = self.is_ready(Kind::Reindeer) && self.is_ready(Kind::Elf);
        if !self.is_ready(kind) {
            let waiting = self.waiting(kind).len();
            return Err(format!("the group has {waiting} members, not {size}"));
        }
        if both && kind == Kind::Elf {
            return Err("the reindeer are ready too and go first".to_string());
        }
        self.block = Some(Block {
            kind,
            called: self.waiting(kind).drain(..size).collect(),
            worked: Vec::new(),
        });
        self.summary.rounds += 1;
        self.summary.with_reindeer += usize::from(kind == Kind::Reindeer);
        self.summary.both_ready += usize::from(both);
        Ok(())
    }

    fn works(&mut self, kind: Kind, name: &'a str) -> Result<(), String> {
        let Some(block) = &mut self.block else {
            return Err("no group is with Santa".to_string());
        };
        if block.kind != kind {
            return Err(format!(
                "it is the block of the other kind, {:?}",
                block.kind
            ));
        }
        if block.worked.contains(&name) {
            return Err(format!("{name} is in this block already"));
        }
        if block.worked.len() == block.called.len() {
            let size = block.called.len();
            return Err(format!("the block has its {size} lines already"));
        }
        if !block.called.contains(&name) {
            return Err(format!("{name} did not join this group"));
        }
        block.worked.push(name);
        Ok(())
    }

    fn ends_block(&mut self) -> Result<(), String> {
        match self.block.take() {
            Some(Block { called, worked, .. }) if worked.len() < called.len() => Err(format!(
                "the block before has {} lines of {}",
                worked.len(),
                called.len()
            )),
            _ => Ok(()),
        }
    }

    fn is_ready(&mut self, kind: Kind) -> bool {
        self.waiting(kind).len() >= self.sizes.group(kind)
    }

    fn waiting(&mut self, kind: Kind) -> &mut VecDeque<&'a str> {
        match kind {
            Kind::Reindeer => &mut self.reindeer,
            Kind::Elf => &mut self.elves,
        }
    }
}
