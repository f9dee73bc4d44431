//! The steps of a run: what each task did, stretch by stretch, with the lines of the source.
//!
//! ```text
//!   step  task  does        at
//!      1  main  spawns t1   bank.rs:30  ┊ let t1 = s.spawn(|| deposit(&account));
//!      2  t1    get         bank.rs:21  ┊ let before = account.get();
//!         ------- forced switch: t1 could have gone on -------
//! ```
use super::names::plain;
use crate::scheduler::observer::{Event, Observer};
use crate::scheduler::policy::{Divergence, END, Kind, Meeting};
use crate::scheduler::task::{About, TaskId};
use crate::scheduler::wait::What;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

/// Of a longer run only so many lines are shown, the last ones.
const SHOWN: usize = 60;

type Place = &'static Location<'static>;

/// Writes the steps of a run down.
pub(crate) struct Recorder(Rc<RefCell<Steps>>);

impl Recorder {
    pub(crate) fn new(steps: Rc<RefCell<Steps>>) -> Self {
        Recorder(steps)
    }
}

impl Observer for Recorder {
    fn event(&mut self, event: Event) {
        self.0.borrow_mut().see(event);
    }

    fn meet(&mut self, id: TaskId, about: &About) {
        self.0.borrow_mut().meet(id, about);
    }
}

/// What the tasks of a run did, in order.
#[derive(Default)]
pub(crate) struct Steps {
    tasks: Vec<Known>,
    stretches: Vec<Stretch>,
    /// Serial number of the task that runs, 0 for none.
    running: u64,
    /// The run is being ended by kills, which is no part of the program.
    over: bool,
}

/// A task that was met.
struct Known {
    serial: u64,
    name: Option<String>,
    site: Place,
    /// What it was about to do when it was made to give way.
    put_off: Option<Act>,
}

/// What one task did until another came.
struct Stretch {
    task: u64,
    acts: Vec<Act>,
    mark: Mark,
}

#[derive(Clone, PartialEq, Eq)]
struct Act {
    does: Does,
    at: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Operation { what: What, waits: bool },
    Spawns(u64),
    Kills(u64),
    Chooses { what: What, answer: usize },
    Panics,
    Ends,
}

/// What is to be said after a stretch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Nothing,
    Forced,
    Hurried,
}

impl Steps {
    fn meet(&mut self, id: TaskId, about: &About) {
        self.tasks.push(Known {
            serial: id.serial,
            name: about.given_name().map(|name| plain(&name)),
            site: about.site,
            put_off: None,
        });
    }

    fn see(&mut self, event: Event) {
        if self.over {
            return;
        }
        match event {
            Event::Spawned(id) => {
                let at = self.known(id.serial).map(|task| task.site);
                self.end_call("spawn");
                self.act_if(at, Does::Spawns(id.serial));
            }
            Event::Resumed(id) => self.resume(id.serial),
            Event::Operation(_, what, at) => {
                let waits = false;
                self.act_if(Some(at), Does::Operation { what, waits });
            }
            Event::Chosen(_, what, answer, at) => {
                self.act_if(Some(at), Does::Chooses { what, answer });
            }
            Event::Parked(_, what) => {
                self.wait(what);
                self.running = 0;
            }
            Event::Yielded(_) => self.running = 0,
            Event::Finished(id) => {
                self.end(id.serial);
                self.running = 0;
            }
            Event::Panicked(_) => {
                let at = self.last_act().map(|act| act.at);
                self.act_if(at, Does::Panics);
            }
            // Whom no task has killed, the end of the run has.
            Event::Killed(_) if self.running == 0 => self.over = true,
            Event::Killed(id) => {
                let at = self.last_act().map(|act| act.at);
                self.end_call("kill");
                self.act_if(at, Does::Kills(id.serial));
            }
            Event::Forced(id) => self.put_off(id.serial),
            Event::Hurried(_) => self.mark(Mark::Hurried),
            Event::Woken(..) => {}
        }
    }

    fn known(&self, serial: u64) -> Option<&Known> {
        self.tasks.iter().find(|task| task.serial == serial)
    }

    fn last_act(&mut self) -> Option<&mut Act> {
        self.stretches.last_mut()?.acts.last_mut()
    }

    /// What comes next tells more than that this was called.
    fn end_call(&mut self, name: &str) {
        if let Some(stretch) = self.stretches.last_mut() {
            let is_it = |act: &mut Act| match act.does {
                Does::Operation { what, .. } => matches!(what, What::Call(call) if call == name),
                _ => false,
            };
            stretch.acts.pop_if(is_it);
        }
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.mark = mark;
        }
    }

    fn resume(&mut self, serial: u64) {
        self.running = serial;
        let goes_on = |last: &Stretch| last.task == serial && last.mark == Mark::Nothing;
        if !self.stretches.last().is_some_and(goes_on) {
            self.stretches.push(Stretch {
                task: serial,
                acts: Vec::new(),
                mark: Mark::Nothing,
            });
        }
        let task = self.tasks.iter_mut().find(|task| task.serial == serial);
        if let Some(act) = task.and_then(|task| task.put_off.take()) {
            self.act_if(Some(act.at), act.does);
        }
    }

    fn act_if(&mut self, at: Option<Place>, does: Does) {
        if let (Some(mut at), Some(stretch)) = (at, self.stretches.last_mut())
            && stretch.task == self.running
        {
            // A destructor of ours has no place in the program: it is where the one before was.
            if let (true, Some(last)) = (is_ours(at), stretch.acts.last()) {
                at = last.at;
            }
            stretch.acts.push(Act { does, at });
        }
    }

    /// A task has ended; of main that needs no word.
    fn end(&mut self, serial: u64) {
        let last = self.last_act().map(|act| act.at);
        let site = self.known(serial).map(|task| task.site);
        if serial > 1 {
            self.act_if(last.or(site), Does::Ends);
        }
    }

    /// The latest operation has to wait.
    fn wait(&mut self, parked_in: What) {
        if let Some(act) = self.last_act()
            && let Does::Operation { what, waits } = &mut act.does
            && *what == parked_in
        {
            *waits = true;
        }
    }

    /// The running task is made to give way: what it was about to do comes later.
    fn put_off(&mut self, serial: u64) {
        let act = self.stretches.last_mut().and_then(|last| last.acts.pop());
        let task = self.tasks.iter_mut().find(|task| task.serial == serial);
        if let Some(task) = task {
            task.put_off = act;
        }
        self.mark(Mark::Forced);
    }

    /// What people call the task.
    pub(crate) fn name(&self, serial: u64) -> String {
        let name = |task: &Known| task.name.clone();
        let Some(name) = self.known(serial).and_then(name) else {
            return format!("#{serial}");
        };
        let alike = |task: &&Known| task.name.as_ref() == Some(&name);
        match self.tasks.iter().filter(alike).count() {
            1 => name,
            _ => format!("{name}#{serial}"),
        }
    }

    fn say(&self, does: Does) -> String {
        match does {
            Does::Operation { what, waits } => {
                let what = match what {
                    What::Join(TaskId { serial: 0, .. }) => "joins a task".to_string(),
                    What::Join(id) => format!("joins {}", self.name(id.serial)),
                    What::Scope => "scope".to_string(),
                    what => what.to_string(),
                };
                match waits {
                    true => format!("{what}: waits"),
                    false => what,
                }
            }
            Does::Spawns(serial) => format!("spawns {}", self.name(serial)),
            Does::Kills(serial) => format!("kills {}", self.name(serial)),
            Does::Chooses { what, answer } => format!("{what}: {answer}"),
            Does::Panics => "panics".to_string(),
            Does::Ends => "ends".to_string(),
        }
    }

    /// A step's lines: what was done at each line of the source, in order.
    fn lines(&self, stretch: &Stretch) -> Vec<(String, Place)> {
        let mut lines: Vec<(String, Place)> = Vec::new();
        for act in &stretch.acts {
            let text = self.say(act.does);
            match lines.last_mut() {
                Some((line, at)) if *at == act.at && line.len() + text.len() < 60 => {
                    line.push_str(", ");
                    line.push_str(&text);
                }
                _ => lines.push((text, act.at)),
            }
        }
        lines
    }
}

/// A line of the table; those of marks have no task.
struct Row {
    step: String,
    task: String,
    does: String,
    at: Option<Place>,
}

impl Steps {
    fn rows(&self) -> Vec<Row> {
        let (mut rows, mut step) = (Vec::new(), 0);
        for stretch in &self.stretches {
            let lines = self.lines(stretch);
            step += usize::from(!lines.is_empty());
            for (nth, (does, at)) in lines.into_iter().enumerate() {
                rows.push(Row {
                    step: match nth {
                        0 => step.to_string(),
                        _ => String::new(),
                    },
                    task: match nth {
                        0 => self.name(stretch.task),
                        _ => String::new(),
                    },
                    does,
                    at: Some(at),
                });
            }
            let mark = match stretch.mark {
                Mark::Nothing => continue,
                Mark::Forced => {
                    let name = self.name(stretch.task);
                    format!("------- forced switch: {name} could have gone on -------")
                }
                Mark::Hurried => {
                    "------- forced switch: the next has yielded, others had not -------".into()
                }
            };
            rows.push(Row {
                step: String::new(),
                task: String::new(),
                does: mark,
                at: None,
            });
        }
        rows
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let left_out = rows.len().saturating_sub(SHOWN);
        let rows = &rows[left_out..];
        let place = |at: Place| format!("{}:{}", at.file(), at.line());
        let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let told = || rows.iter().filter(|row| row.at.is_some());
        let task = width(&mut told().map(|row| row.task.chars().count())).max(4);
        let does = width(&mut told().map(|row| row.does.chars().count())).max(4);
        let at = width(&mut rows.iter().filter_map(|row| Some(place(row.at?).len())));
        writeln!(f, "  step  {:task$}  {:does$}  at", "task", "does")?;
        if left_out > 0 {
            writeln!(f, "        ({left_out} lines before these are left out)")?;
        }
        let mut source = Source::default();
        for row in rows {
            let Some(place_of_row) = row.at else {
                writeln!(f, "        {}", row.does)?;
                continue;
            };
            let (at_text, text) = (place(place_of_row), source.line(place_of_row));
            let line = format!(
                "  {:>4}  {:task$}  {:does$}  {at_text:at$}  {text}",
                row.step, row.task, row.does
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Whether a place is in this crate.
fn is_ours(at: Place) -> bool {
    let folder = file!().trim_end_matches("report/steps.rs");
    at.file().starts_with(folder)
}

/// The source files that were asked for, where they can be read.
#[derive(Default)]
struct Source(BTreeMap<&'static str, Vec<String>>);

impl Source {
    /// What stands at a place, after a mark.
    fn line(&mut self, at: Place) -> String {
        let lines = self.0.entry(at.file()).or_insert_with(|| {
            let text = std::fs::read_to_string(at.file()).unwrap_or_default();
            text.lines().map(|line| line.trim().to_string()).collect()
        });
        let line = lines.get(at.line() as usize - 1);
        let Some(line) = line.filter(|line| !line.is_empty()) else {
            return String::new();
        };
        match line.char_indices().nth(72) {
            Some((end, _)) => format!("┊ {}…", &line[..end]),
            None => format!("┊ {line}"),
        }
    }
}

/// How a program left its trail, in a sentence.
pub(crate) fn divergence(left: &Divergence, steps: &Steps) -> String {
    let now = match &left.now {
        None => "now the program has ended".to_string(),
        Some(met) if left.recorded.is_of(met) => {
            format!(
                "answered by {}, now there are {} to choose from",
                left.recorded.answer, met.among
            )
        }
        Some(met) => format!("now {}", meeting(met, steps)),
    };
    format!(
        "replay diverged at step {} of {}: recorded '{}', {now}. The program changed since the \
         recording, or something outside maypole decides (hash order, clock, random numbers, real \
         I/O).",
        left.step, left.steps, left.recorded
    )
}

/// What a program came to, in words.
pub(crate) fn meeting(met: &Meeting, steps: &Steps) -> String {
    let (task, at) = (steps.name(met.task), met.wait.at);
    let what = match met.wait.what {
        What::Join(id) => format!("join of {}", steps.name(id.serial)),
        what => what.to_string(),
    };
    let does = match (met.kind, met.wait.what) {
        (Kind::Turn, What::Call(END)) => format!("{task} has ended, spawned"),
        (Kind::Turn, _) => format!("{task} gives way in {what}"),
        (Kind::Switch, _) => format!("{task} is about to {what}"),
        (Kind::Case, _) => format!("{task} chooses a case of {what}"),
        (Kind::Any, _) => format!("{task} calls explore::any"),
    };
    format!("{does} at {}:{}", at.file(), at.line())
}
