//! Answers of networks of several labels or of a regression, what they are worth, and the sections of a page about them.

mod answers;
mod figures;
mod measured;
mod page;
mod pictures;

pub use answers::TaskAnswers;
pub use measured::{LabelMeasured, TargetMeasured, TaskMeasured, TaskMeasures};
pub use page::task_sections;
pub use pictures::task_pictures;
