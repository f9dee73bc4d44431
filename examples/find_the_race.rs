//! A lost update: unseen in a run, found by trying every order of turns, replayed, corrected.
//!
//! Try: `cargo run --example find_the_race`. Two tasks pay into one account, and keep a journal. You
//! will see a run in which all goes well; then an order of turns in which 50 are lost, step by step;
//! then the corrected version, of which every order of turns holds. Copy the line after `again:` and
//! run it: it is the first run that fails now, in these very steps.
//!
//! Between two blocking calls a task is alone, so `pay_in` looks safe: it reads, it writes, and there
//! is a line for the journal in between. But to send is a call that may block, if seldom. What was
//! read before it may be old after it.
use maypole::channel::{Sender, bounded};
use maypole::explore::{Explorer, Shared};
use maypole::{run, scope, task};

/// An account, which is a `Cell` whose accesses are shown among the steps.
type Account = Shared<u32>;
type PayIn = fn(&Account, &Sender<u32>, u32);

fn pay_in(account: &Account, journal: &Sender<u32>, amount: u32) {
    let balance = account.get();
    journal.send(amount).unwrap();
    account.set(balance + amount);
}

fn pay_in_corrected(account: &Account, journal: &Sender<u32>, amount: u32) {
    journal.send(amount).unwrap();
    // Would panic if there were a call in it that may block.
    task::no_yield(|| {
        let balance = account.get();
        account.set(balance + amount);
    });
}

/// The program under test: it says itself what is wrong.
fn two_payments(pay_in: PayIn) {
    let account = Shared::new(100);
    let (journal, _entries) = bounded(2);
    scope(|s| {
        for (name, amount) in [("ann", 20), ("bob", 50)] {
            let (account, journal) = (&account, &journal);
            let payment = task::Builder::new().name(name);
            let pays = move || pay_in(account, journal, amount);
            payment
                .spawn_scoped(s, pays)
                .expect("there is room for a stack");
        }
    });
    assert_eq!(account.get(), 170, "money is lost");
}

fn main() {
    println!("# a run");
    run(|| two_payments(pay_in));
    println!("100, and 20 from ann, and 50 from bob: 170");

    println!("# every order of turns");
    let outcome = Explorer::new().check(|| two_payments(pay_in));
    println!("{outcome}");

    println!("# every order of turns, corrected");
    let outcome = Explorer::new().check(|| two_payments(pay_in_corrected));
    println!("{outcome}");
}
