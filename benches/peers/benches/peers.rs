//! All groups in one program, since linking the peers takes longer than running them.

use maypole_bench::{groups, measure};

fn main() {
    let mut criterion = measure::criterion();
    groups::switch::groups(&mut criterion);
    groups::spawn::groups(&mut criterion);
    groups::generator::groups(&mut criterion);
    groups::timers::groups(&mut criterion);
    groups::channel::groups(&mut criterion);
    groups::select::groups(&mut criterion);
    groups::skynet::groups(&mut criterion);
    groups::lock::groups(&mut criterion);
    groups::stm::groups(&mut criterion);
    groups::offload::groups(&mut criterion);
    groups::explore::groups(&mut criterion);
    criterion.final_summary();
}
