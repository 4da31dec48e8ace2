//! The ratios that are wanted.

use crate::Taken;
use crate::subject::Spent;

/// How many times the rate or the processor time of one subject another one's is to be.
pub(crate) struct Bar {
    op: &'static str,
    ours: &'static str,
    other: &'static str,
    /// What the other one did, where that is something else.
    other_op: Option<&'static str>,
    wanted: Wanted,
}

enum Wanted {
    /// At least so many times the rate.
    Rate(f64),
    /// At most so many times the processor time.
    Cpu(f64),
    /// At least so many million pins for a second of processor; the other one does not matter.
    Core(f64),
    /// The ratio of rates, for information.
    Told,
}

const fn rate(op: &'static str, ours: &'static str, other: &'static str, least: f64) -> Bar {
    Bar { op, ours, other, other_op: None, wanted: Wanted::Rate(least) }
}

const fn cpu(op: &'static str, ours: &'static str, other: &'static str, most: f64) -> Bar {
    Bar { op, ours, other, other_op: None, wanted: Wanted::Cpu(most) }
}

pub(crate) const BARS: &[Bar] = &[
    rate("list", "memory", "Go inmem", 10.0),
    rate("export", "memory", "Go inmem", 10.0),
    rate("import", "memory", "Go inmem", 10.0),
    rate("marshal", "memory", "Go inmem", 3.0),
    rate("unmarshal", "memory", "Go inmem", 2.0),
    rate("list", "sled", "Go pebble", 3.0),
    rate("export", "sled", "Go pebble", 5.0),
    rate("import", "sled", "Go pebble", 1.0),
    rate("get64", "sled", "Go pebble", 2.0),
    rate("add", "sled", "raw sled", 0.9),
    rate("add64", "sled", "raw sled", 0.9),
    rate("get1000", "sled", "raw sled", 0.9),
    rate("scan", "sled", "raw sled", 0.9),
    Bar { op: "add", ours: "sled", other: "Go pebble", other_op: None, wanted: Wanted::Told },
    Bar { op: "add64", ours: "sled", other: "Go pebble", other_op: None, wanted: Wanted::Told },
    rate("add", "fjall", "raw fjall", 0.9),
    Bar {
        op: "list",
        ours: "fjall",
        other: "raw fjall",
        other_op: Some("scan"),
        wanted: Wanted::Rate(0.85),
    },
    rate("add", "fjall", "sled", 2.5),
    rate("add", "fjall", "Go pebble", 1.0),
    rate("get64", "fjall", "Go pebble", 2.0),
    rate("export", "fjall", "Go pebble", 7.0),
    Bar { op: "add64", ours: "fjall", other: "Go pebble", other_op: None, wanted: Wanted::Told },
    Bar { op: "view64", ours: "memory", other: "", other_op: None, wanted: Wanted::Core(1.0) },
    Bar { op: "list", ours: "memory", other: "", other_op: None, wanted: Wanted::Core(5.0) },
    Bar { op: "scan", ours: "memory", other: "", other_op: None, wanted: Wanted::Core(5.0) },
    cpu("add64", "scylla", "raw driver", 1.15),
    cpu("get64", "scylla", "raw driver", 1.15),
];

impl Bar {
    /// Prints it; whether it is as wanted. What was not measured is not told.
    pub(crate) fn tell(&self, taken: &Taken) -> bool {
        let rounds = |name, op| taken.get(&(name, op));
        let other_op = self.other_op.unwrap_or(self.op);
        let Some(ours) = rounds(self.ours, self.op) else { return true };
        let mut ratios: Vec<f64> = if let Wanted::Core(_) = self.wanted {
            ours.iter().map(|spent| 1.0 / spent.cpu_each()).collect()
        } else {
            let Some(other) = rounds(self.other, other_op) else { return true };
            let figure = match self.wanted {
                Wanted::Cpu(_) => Spent::cpu_each,
                _ => Spent::rate,
            };
            ours.iter().zip(other).map(|(ours, other)| figure(*ours) / figure(*other)).collect()
        };
        ratios.sort_by(f64::total_cmp);
        let (least, median, most) = (ratios[0], ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
        let (what, wanted, met) = match self.wanted {
            Wanted::Rate(least) => ("rate", format!("wanted {least}"), median >= least),
            Wanted::Cpu(most) => ("processor", format!("wanted at most {most}"), median <= most),
            Wanted::Core(least) => {
                ("million a second of processor", format!("wanted {least}"), median >= least)
            }
            Wanted::Told => ("rate", String::new(), true),
        };
        let over = if self.other.is_empty() { "" } else { " over " };
        let other_op = self.other_op.map_or(String::new(), |op| format!(" {op}"));
        println!(
            "{:<10} {:<24} {median:.2} ({least:.2} to {most:.2}) {what} {wanted}{}",
            self.op,
            format!("{}{over}{}{other_op}", self.ours, self.other),
            if met { "" } else { "  NOT MET" }
        );
        met
    }
}
