//! What variables hold, in the model, and how an attempt ends.
use super::program::{Content, SPAN};
use std::collections::VecDeque;

/// Names a variable, for good.
pub type Name = usize;

/// Names a value: by the event that made it, and the step of it.
pub type Id = (u64, u64);

/// What a step has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    Number(i64),
    Word(i64, Id),
    Flag(bool),
}

impl Value {
    /// Another one for the same variable.
    pub fn like(self, number: i64, id: Id) -> Value {
        match self {
            Value::Number(_) => Value::Number(number),
            Value::Word(..) => Value::Word(number, id),
            Value::Flag(_) => Value::Flag(number % 2 == 0),
        }
    }

    pub fn number(self) -> i64 {
        match self {
            Value::Number(number) | Value::Word(number, _) => number,
            Value::Flag(flag) => i64::from(flag),
        }
    }
}

/// What is seen where nothing is.
pub const NOTHING: Value = Value::Number(-1);

/// A word in a queue.
pub type Item = (i64, Id);

/// What a variable holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Held {
    One(Value),
    Place(Option<Item>),
    /// With its capacity, if it has one.
    Queue(Option<usize>, VecDeque<Item>),
    /// An end of a channel: where it reads next, and the variable that holds where all write next.
    End {
        first: Name,
        back: Name,
    },
    Back(Name),
    /// A word in a channel and what comes after it, or the place for it.
    Node(Option<(Item, Name)>),
}

impl Held {
    /// What new variables hold, the first of which is the one that is named; the others come after
    /// it.
    pub fn new(content: Content, number: i64, id: Id, name: Name) -> Vec<Held> {
        let one = |value| vec![Held::One(value)];
        match content {
            Content::Number => one(Value::Number(number)),
            Content::Word => one(Value::Word(number, id)),
            Content::Flag => one(Value::Flag(number % 2 == 0)),
            Content::Delay(_) => one(Value::Flag(false)),
            Content::Place => vec![Held::Place(fills_place(number).then_some((number, id)))],
            Content::Queue(capacity) => vec![Held::Queue(capacity, VecDeque::new())],
            Content::Channel => {
                let (back, hole) = (name + 1, name + 2);
                let end = Held::End { first: hole, back };
                vec![end, Held::Back(hole), Held::Node(None)]
            }
        }
    }

    /// The words in it, and the variables that it keeps.
    pub fn keeps(&self) -> (Vec<Id>, Vec<Name>) {
        let ids = |items: &mut dyn Iterator<Item = &Item>| items.map(|item| item.1).collect();
        match self {
            Held::One(Value::Word(_, id)) => (vec![*id], Vec::new()),
            Held::One(_) => (Vec::new(), Vec::new()),
            Held::Place(item) => (ids(&mut item.iter()), Vec::new()),
            Held::Queue(_, items) => (ids(&mut items.iter()), Vec::new()),
            Held::End { first, back } => (Vec::new(), vec![*first, *back]),
            Held::Back(hole) => (Vec::new(), vec![*hole]),
            Held::Node(None) => (Vec::new(), Vec::new()),
            Held::Node(Some((item, next))) => (vec![item.1], vec![*next]),
        }
    }
}

/// Whether a place that is made with this number is full.
pub fn fills_place(number: i64) -> bool {
    number % 2 == 0
}

/// What has unwound out of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broke {
    Planned(i64),
    Nested,
    Refused,
    Over,
    BeingRead,
    NothingRead,
}

/// How an attempt, or a part of one, ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Went(i64),
    Retry,
    Abort(i64),
    Broke(Broke),
}

/// Sums up what was read.
pub fn mix(sum: i64, number: i64) -> i64 {
    (sum * 31 + number + 1).rem_euclid(1009)
}

pub fn number(sum: i64, plus: i64) -> i64 {
    (sum + plus).rem_euclid(SPAN)
}
