//! Figures and pages of reports: charts and drawings of networks as SVG, pages as HTML, and sheets of images as pixels. No
//! framework, no script, nothing fetched.
//!
//! ```
//! use residual_report::{Axis, LineChart, Page, Series};
//!
//! let chart = LineChart::new("Loss falls", Axis::linear("step"), Axis::log("loss"))
//!     .with(Series::new("training", [(0.0, 2.3), (100.0, 0.4)]));
//! let page = Page::new("A study").figure("loss", chart.figure(), "Mean over three seeds.");
//! assert!(page.html().contains("<svg"));
//! ```
//!
//! A figure carries its own colours for light and dark ([`Palette`](theme)), chosen by
//! `prefers-color-scheme`: the same file is legible in either, alone or inside a page. Colours are Okabe and
//! Ito's, told apart by the colour-blind, and lines differ in their dashes and markers as well. Every figure
//! has a title and a description for those who do not see it, and a page shows the numbers beside it as a table.

#![deny(missing_docs)]

mod axis;
mod bars;
mod canvas;
mod field;
mod figure;
mod font;
mod lines;
mod matrix;
mod network;
mod number;
mod page;
mod picture;
mod reliability;
mod scatter;
mod svg;
pub mod theme;

pub use axis::{Axis, Scale};
pub use bars::BarChart;
pub use canvas::{At, Canvas, Colour, Text};
pub use field::FieldChart;
pub use figure::{Figure, SVG_START};
pub use lines::{LineChart, Series};
pub use matrix::MatrixChart;
pub use network::NetworkDiagram;
pub use number::{duration, number, percent, times};
pub use page::{Fact, GENERATOR, Page, Table};
pub use picture::Picture;
pub use reliability::{ReliabilityBar, ReliabilityChart};
pub use scatter::ScatterChart;
