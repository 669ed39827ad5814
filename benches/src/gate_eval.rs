//! How often the regression gate errs at starts of containers: counted over runs of the gate that are put together from
//! recorded rounds, and over live ones. The program is `benches/gate_eval.rs`.

mod live;
mod recording;
mod scenario;
mod table;

pub use live::live;
pub use recording::{Error, Recording, record};
pub use scenario::{Budgets, Counted, Plant, Scenario, replayed};
pub use table::{Row, table};
