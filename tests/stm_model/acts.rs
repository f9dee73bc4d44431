//! What tasks do between transactions, and what hooks and destructors do.
use super::checks::Planned;
use super::model::Mind;
use super::program::{Act, Deed};
use super::world::World;
use maypole::{sleep, task, time, yield_now};
use std::cell::Cell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

fn ms(moment: u64) -> Duration {
    Duration::from_millis(moment)
}

impl World {
    pub fn act(self: &Rc<Self>, act: &Act) {
        if self.has_failed() {
            return;
        }
        match act {
            Act::Transact(block) => self.transact(block),
            Act::Yield => yield_now(),
            Act::Sleep(moment) => sleep(ms(*moment)),
            Act::Get(variable) => self.get(*variable),
            Act::Set(variable, term) => self.set(*variable, term.plus, term.deed.clone()),
            Act::Kill(victim) => self.kill(*victim),
            Act::Timeout(moment, acts) => {
                self.timeout(ms(*moment), || acts.iter().for_each(|act| self.act(act)));
            }
            Act::Shield(moment, block) => task::shield(|| {
                let _shielded =
                    Change::begin(self, |mind| mind.shields += 1, |mind| mind.shields -= 1);
                self.timeout(ms(*moment), || self.transact(block));
            }),
            Act::Make(content, term) => self.make(*content, term),
            Act::Forget(variable) => self.forget(*variable),
        }
        self.check();
        self.check_between();
    }

    fn timeout(self: &Rc<Self>, duration: Duration, f: impl FnOnce()) {
        let limit = time::now() + duration;
        let _limited = Change::begin(
            self,
            |mind| mind.limits.push((limit, mind.shields)),
            |mind| _ = mind.limits.pop(),
        );
        if time::timeout(duration, f).is_err() {
            self.count(|counts| &mut counts.timeouts);
            if time::now() < limit {
                self.fail("a timeout expires too early".to_string());
            }
        }
    }

    /// What a destructor does.
    pub fn destructor(self: &Rc<Self>, deed: &Deed) {
        if self.over.get() || self.has_failed() {
            return;
        }
        // This may be the first that is heard of an end of the run.
        self.is_ending();
        self.count(|counts| &mut counts.destructors);
        self.deed(deed, |world, pause| {
            // It must not be killed before it has come to its end.
            world.delayed(|| task::shield(pause));
        });
    }

    /// What a hook does.
    pub fn hook(self: &Rc<Self>, deed: &Deed) {
        self.deed(deed, |_, pause| pause());
    }

    fn deed(self: &Rc<Self>, deed: &Deed, pauses: impl FnOnce(&Rc<World>, &dyn Fn())) {
        self.note(|| format!("task {}: {deed:?}", self.me()));
        let ended = |mind: &mut Mind| {
            mind.deeds -= 1;
            mind.unwound += usize::from(std::thread::panicking());
        };
        let _deed = Change::begin(self, |mind| mind.deeds += 1, ended);
        let _busy = Busy::begin(&self.busy);
        match deed {
            Deed::Set(variable, number) => self.set(*variable, *number, None),
            Deed::Transact(block) => self.transact(block),
            Deed::Yield => pauses(self, &yield_now),
            Deed::Kill(victim) => self.kill(*victim),
            Deed::Sleep(moment) => pauses(self, &|| sleep(ms(*moment))),
            Deed::Panic(number) => resume_unwind(Box::new(Planned(*number))),
        }
    }
}

/// What holds of a task for some time.
struct Change<'a, F: FnMut(&mut Mind)> {
    world: &'a World,
    me: usize,
    end: F,
}

impl<'a, F: FnMut(&mut Mind)> Change<'a, F> {
    fn begin(world: &'a World, begin: impl FnOnce(&mut Mind), end: F) -> Self {
        let me = world.me();
        world.mind(me, begin);
        Change { world, me, end }
    }
}

impl<F: FnMut(&mut Mind)> Drop for Change<'_, F> {
    fn drop(&mut self) {
        self.world.mind(self.me, &mut self.end);
    }
}

struct Busy<'a>(&'a Cell<usize>);

impl<'a> Busy<'a> {
    fn begin(busy: &'a Cell<usize>) -> Self {
        busy.set(busy.get() + 1);
        Busy(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
