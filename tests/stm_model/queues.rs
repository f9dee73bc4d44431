//! What a step does to places, queues and channels, in the model.
use super::program::Use;
use super::reference::{State, Trial};
use super::values::{Ended, Held, Item, NOTHING, Name, Value};
use std::collections::VecDeque;

fn word(item: Item) -> Value {
    Value::Word(item.0, item.1)
}

fn word_or_nothing(item: Option<Item>) -> Value {
    item.map_or(NOTHING, word)
}

/// Goes on with the first item, or waits for one.
fn or_retry(item: Option<Item>) -> Result<Value, Ended> {
    item.map(word).ok_or(Ended::Retry)
}

impl Trial<'_> {
    /// A step on a variable that holds more than a value, or nothing.
    pub fn on_many(
        &mut self,
        name: Name,
        how: Use,
        number: i64,
        state: &mut State,
    ) -> Result<(), Ended> {
        let item = (number, self.id());
        match self.held(name, state) {
            Held::Place(_) => self.on_place(name, how, item, state),
            Held::Queue(capacity, _) => self.on_queue(name, capacity, how, item, state),
            Held::End { back, .. } => self.on_channel(name, back, how, item, state),
            _ => unreachable!("no step names it"),
        }
    }

    fn on_place(
        &mut self,
        name: Name,
        how: Use,
        item: Item,
        state: &mut State,
    ) -> Result<(), Ended> {
        let full = Held::Place(Some(item));
        if how == Use::Overwrite {
            self.put(name, full, state);
            return Ok(());
        }
        let Held::Place(found) = self.look(name, state) else {
            unreachable!("it is a place");
        };
        match how {
            Use::TryPeek => _ = self.sees(word_or_nothing(found)),
            Use::IsEmpty => _ = self.sees(Value::Flag(found.is_none())),
            Use::Put => match found {
                None => self.put(name, full, state),
                Some(_) => return Err(Ended::Retry),
            },
            Use::TryPut => {
                self.sees(Value::Flag(found.is_none()));
                if found.is_none() {
                    self.put(name, full, state);
                }
            }
            Use::TryTake => {
                self.sees(word_or_nothing(found));
                if found.is_some() {
                    self.put(name, Held::Place(None), state);
                }
            }
            Use::Take => {
                self.sees(or_retry(found)?);
                self.put(name, Held::Place(None), state);
            }
            Use::Flush => {
                self.sees(or_retry(found)?);
                self.put(name, full, state);
            }
            Use::Peek => _ = self.sees(or_retry(found)?),
            Use::Overwrite => unreachable!("see above"),
        }
        Ok(())
    }

    fn on_queue(
        &mut self,
        name: Name,
        capacity: Option<usize>,
        how: Use,
        item: Item,
        state: &mut State,
    ) -> Result<(), Ended> {
        let only_writes = match how {
            Use::Put | Use::TryPut | Use::Overwrite => capacity.is_none(),
            _ => false,
        };
        let held = match only_writes {
            true => self.held(name, state),
            false => self.look_at_part(name, state),
        };
        let Held::Queue(_, mut items) = held else {
            unreachable!("it is a queue");
        };
        let is_full = capacity.is_some_and(|capacity| items.len() >= capacity);
        match how {
            Use::TryPeek => {
                self.sees(word_or_nothing(items.front().copied()));
                return Ok(());
            }
            Use::IsEmpty => {
                self.sees(Value::Flag(items.is_empty()));
                return Ok(());
            }
            Use::Peek => {
                self.sees(or_retry(items.front().copied())?);
                return Ok(());
            }
            Use::Put | Use::Overwrite if is_full => return Err(Ended::Retry),
            Use::Put => items.push_back(item),
            Use::TryPut if capacity.is_none() => items.push_front(item),
            Use::TryPut => {
                self.sees(Value::Flag(is_full));
                if is_full {
                    return Ok(());
                }
                items.push_back(item);
            }
            Use::Overwrite if capacity.is_none() => items.push_back(item),
            Use::Overwrite => items.push_front(item),
            Use::TryTake => {
                let taken = items.pop_front();
                self.sees(word_or_nothing(taken));
                if taken.is_none() {
                    return Ok(());
                }
            }
            Use::Take => {
                let taken = items.pop_front();
                self.sees(or_retry(taken)?);
            }
            Use::Flush => {
                items.iter().for_each(|item| _ = self.sees(word(*item)));
                self.sees(NOTHING);
                if items.is_empty() {
                    return Ok(());
                }
                items = VecDeque::new();
            }
        }
        self.put(name, Held::Queue(capacity, items), state);
        Ok(())
    }

    /// The first item of the channel at this end, and what comes after it.
    fn first(&mut self, name: Name, state: &State) -> Option<(Item, Name)> {
        let Held::End { first, .. } = self.look(name, state) else {
            unreachable!("it is an end");
        };
        let Held::Node(node) = self.look(first, state) else {
            unreachable!("an end begins at a node");
        };
        node
    }

    fn take_first(&mut self, name: Name, back: Name, state: &mut State) -> Option<Item> {
        let (item, first) = self.first(name, state)?;
        self.put(name, Held::End { first, back }, state);
        Some(item)
    }

    fn on_channel(
        &mut self,
        name: Name,
        back: Name,
        how: Use,
        item: Item,
        state: &mut State,
    ) -> Result<(), Ended> {
        match how {
            Use::TryPeek => {
                let first = self.first(name, state);
                self.sees(word_or_nothing(first.map(|node| node.0)));
            }
            Use::IsEmpty => {
                let is_empty = self.first(name, state).is_none();
                self.sees(Value::Flag(is_empty));
            }
            Use::Peek => {
                let first = self.first(name, state);
                self.sees(or_retry(first.map(|node| node.0))?);
            }
            Use::Put | Use::Overwrite => {
                let Held::Back(hole) = self.look(back, state) else {
                    unreachable!("it is where all write");
                };
                let next = self.make(Held::Node(None));
                self.put(hole, Held::Node(Some((item, next))), state);
                self.put(back, Held::Back(next), state);
            }
            Use::TryPut => {
                let Held::End { first: next, .. } = self.look(name, state) else {
                    unreachable!("it is an end");
                };
                let first = self.make(Held::Node(Some((item, next))));
                self.put(name, Held::End { first, back }, state);
            }
            Use::TryTake => {
                let taken = self.take_first(name, back, state);
                self.sees(word_or_nothing(taken));
            }
            Use::Take => {
                let taken = self.take_first(name, back, state);
                self.sees(or_retry(taken)?);
            }
            Use::Flush => {
                while let Some(item) = self.take_first(name, back, state) {
                    self.sees(word(item));
                }
                self.sees(NOTHING);
            }
        }
        Ok(())
    }
}
