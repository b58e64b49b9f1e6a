//! Basic against bottleneck blocks: parameters, operations, time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use residual_arch::shape::{Flow, flow};
use residual_arch::{NetSpec, families::family};
use residual_engine::{Images as Pixels, Options, Plan};
use residual_report::{Axis, BarChart, Page, Table, number};
use residual_train::to_model;
use serde::{Deserialize, Serialize};

use crate::subject::fresh;
use crate::{Error, Folder, Outcome, Summary, Watch};

/// Compares pre-activation CIFAR networks of basic blocks with those of bottlenecks, at equal depth and at equal
/// operations, as near as `9n + 2` layers come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// Layers of the basic networks, `6n + 2`.
    pub depths: Vec<usize>,
    /// Images at a time in the timing run.
    pub batch: usize,
    /// Timed runs of each; the median counts.
    pub runs: usize,
}

/// A line of `results.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Layers of the basic network that it is compared with.
    pub beside: usize,
    /// `basic`, `equal depth` or `equal MACs`.
    pub role: String,
    /// The network.
    pub network: String,
    /// Parameters.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Milliseconds of one call, forward only, in the engine.
    pub milliseconds: f64,
}

impl Bottleneck {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.depths.is_empty() {
            return Err(Error::Nothing { field: "depths", expected: "one or more, such as 20,56,110" });
        }
        for (field, found) in [("batch", self.batch), ("runs", self.runs)] {
            if found == 0 {
                return Err(Error::OutOfRange { field, found: "0".into(), expected: "1 or more" });
            }
        }
        self.cells().map(|_| ())
    }

    /// The networks: beside which depth, in which role.
    fn cells(&self) -> Result<Vec<(usize, &'static str, NetSpec, Flow)>, Error> {
        let mut cells = Vec::new();
        for &depth in &self.depths {
            let basic = described(&format!("cifar_preact{depth}_basic"))?;
            let bottleneck = |n: usize| described(&format!("cifar_preact{}_bottleneck", 9 * n + 2));
            let by_depth = bottleneck((depth.saturating_sub(2) + 4) / 9).or_else(|_| bottleneck(1))?;
            let mut by_macs = bottleneck(1)?;
            let mut n = 1;
            while by_macs.1.macs < basic.1.macs {
                n += 1;
                let next = bottleneck(n)?;
                let off = |macs: u64| macs.abs_diff(basic.1.macs);
                if off(next.1.macs) > off(by_macs.1.macs) {
                    break;
                }
                by_macs = next;
            }
            let roles = [("basic", basic), ("equal depth", by_depth), ("equal MACs", by_macs)];
            cells.extend(roles.map(|(role, (spec, flow))| (depth, role, spec, flow)));
        }
        Ok(cells)
    }

    pub(crate) fn run(
        &self,
        folder: &mut Folder,
        watch: &mut dyn Watch,
        stop: &AtomicBool,
    ) -> Result<Outcome, Error> {
        let done: Vec<Measured> = folder.results()?;
        let cells = self.cells()?;
        for (index, (beside, role, spec, flow)) in cells.iter().enumerate() {
            if done.iter().any(|known| (known.beside, known.role.as_str()) == (*beside, role)) {
                continue;
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(Outcome::Interrupted);
            }
            watch.progress((index as f64 + 0.5) / cells.len() as f64, &spec.name);
            let (network, role) = (spec.name.clone(), (*role).to_owned());
            let milliseconds = self.time(spec)?;
            let Flow { parameters, macs, .. } = *flow;
            folder.append(&Measured { beside: *beside, role, network, parameters, macs, milliseconds })?;
        }
        Ok(Outcome::Finished)
    }

    /// The median of the runs, the first of which is not counted.
    fn time(&self, spec: &NetSpec) -> Result<f64, Error> {
        let model = to_model(&fresh(spec, 0)?)?;
        let plan = Plan::compile(&model, &Options::default().with(|options| options.max_batch = self.batch))?;
        let mut scratch = plan.scratch();
        // Any values of unit size do: the time does not depend on them.
        let pixels = vec![0.5; self.batch * spec.input.iter().product::<usize>()];
        let mut times = Vec::with_capacity(self.runs + 1);
        for _ in 0..=self.runs {
            let begin = Instant::now();
            plan.run(Pixels::Planar(&pixels), &mut scratch)?;
            times.push(1e3 * begin.elapsed().as_secs_f64());
        }
        times.remove(0);
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }

    fn table(rows: &[Measured]) -> Table {
        let mut table = Table::new(&["network", "role", "parameters", "MMACs", "ms"]);
        for row in rows {
            // Counts are exact.
            let (parameters, macs) = (number(row.parameters as f64, 15), number(row.macs as f64 / 1e6, 4));
            let ms = number(row.milliseconds, 3);
            table.row([row.network.clone(), row.role.clone(), parameters, macs, ms]);
        }
        table
    }

    fn words(rows: &[Measured]) -> Vec<String> {
        let mut words = Vec::new();
        for basic in rows.iter().filter(|row| row.role == "basic") {
            for other in rows.iter().filter(|row| row.beside == basic.beside && row.role != "basic") {
                let ratio = |a: f64, b: f64| number(a / b, 3);
                words.push(format!(
                    "{} beside {} ({}): {} times the parameters, {} times the operations, {} times the time.",
                    other.network,
                    basic.network,
                    other.role,
                    ratio(other.parameters as f64, basic.parameters as f64),
                    ratio(other.macs as f64, basic.macs as f64),
                    ratio(other.milliseconds, basic.milliseconds)
                ));
            }
        }
        words
    }

    pub(crate) fn summary(&self, rows: &[Measured]) -> Summary {
        let title = format!("forward, {} images a call, median of {} runs", self.batch, self.runs);
        Summary { tables: vec![(title, Self::table(rows))], words: Self::words(rows) }
    }

    pub(crate) fn page(&self, rows: &[Measured]) -> Page {
        let intro = format!(
            "Pre-activation CIFAR networks, forward only in the engine, {} images a call, median of {} runs on this \
             machine. Basic networks have 6n + 2 layers and bottlenecks 9n + 2, four times as wide outside.",
            self.batch, self.runs
        );
        let mut page = Page::new("Basic and bottleneck blocks").text(&intro).list(&Self::words(rows));
        type Value = fn(&Measured) -> f64;
        let charts: [(&str, &str, &str, Value); 3] = [
            ("parameters", "Parameters", "millions", |row| row.parameters as f64 / 1e6),
            ("macs", "Operations for one image", "million MACs", |row| row.macs as f64 / 1e6),
            ("time", "Time of one call", "ms", |row| row.milliseconds),
        ];
        for (name, title, unit, value) in charts {
            let mut chart = BarChart::new(
                title,
                "layers of the basic network: what stands beside it",
                Axis::linear(unit),
            );
            for row in rows {
                let group = ["basic", "equal depth", "equal MACs"].iter().position(|role| *role == row.role);
                chart = chart.with(format!("{}: {}", row.beside, row.role), value(row), group.unwrap_or(0));
            }
            page = page.figure(name, chart.figure(), "One colour a role.");
        }
        page.heading("Numbers").table(&Self::table(rows))
    }
}

fn described(name: &str) -> Result<(NetSpec, Flow), Error> {
    let spec = family(name)?;
    let flow = flow(&spec, spec.input)?;
    Ok((spec, flow))
}
