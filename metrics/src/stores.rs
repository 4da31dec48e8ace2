//! The numbers that stores tell of themselves, asked for when they are wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pinstate_core::gauge::GaugeKind;
use pinstate_core::{Gauge, Store};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::families::At;
use crate::reference::{OLD_CONNECTIONS, STORES_OPEN, backend_metric};
use crate::scylla;

/// The stores that are watched, for as long as they are there.
#[derive(Debug, Default)]
pub(crate) struct Stores(Mutex<Vec<Weak<dyn Store>>>);

/// A number by backend.
type ByBackend = BTreeMap<&'static str, f64>;

impl Stores {
    pub(crate) fn add(&self, store: &Arc<dyn Store>) {
        let mut stores = self.0.lock();
        stores.retain(|store| store.strong_count() > 0);
        stores.push(Arc::downgrade(store));
    }

    /// How many there are, and what they tell: of stores on one backend the sum.
    fn asked(&self) -> (ByBackend, BTreeMap<Gauge, ByBackend>) {
        let stores: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        let (mut open, mut told) = (ByBackend::new(), BTreeMap::<Gauge, ByBackend>::new());
        for store in stores {
            let backend = store.identity().backend;
            *open.entry(backend).or_default() += 1.0;
            for (gauge, value) in store.gauges() {
                *told.entry(gauge).or_default().entry(backend).or_default() += value;
            }
        }
        (open, told)
    }
}

impl Collector for Stores {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (open, told) = self.asked();
        let mut levels = |name: &str, about: &str, values: &ByBackend| {
            // A full stop, as the library adds it to what is registered.
            let about = format!("{about}.");
            let mut family = encoder.encode_descriptor(name, &about, None, MetricType::Gauge)?;
            for (&backend, &value) in values {
                ConstGauge::new(value).encode(family.encode_family(&At { backend })?)?;
            }
            Ok::<_, fmt::Error>(())
        };
        if !open.is_empty() {
            levels(STORES_OPEN.name, STORES_OPEN.about, &open)?;
        }
        for (gauge, values) in &told {
            if gauge.kind() == GaugeKind::Level {
                levels(&backend_metric(*gauge), gauge.about(), values)?;
            }
        }
        for (gauge, values) in &told {
            if gauge.kind() == GaugeKind::Total {
                let (name, kind) = (backend_metric(*gauge), MetricType::Counter);
                let about = format!("{}.", gauge.about());
                let mut family = encoder.encode_descriptor(&name, &about, None, kind)?;
                for (&backend, &value) in values {
                    ConstCounter::new(value).encode(family.encode_family(&At { backend })?)?;
                }
            }
        }
        let connections = told.get(&Gauge::Connections).and_then(|told| told.get(scylla::BACKEND));
        if let Some(&connections) = connections {
            let (name, about) = (OLD_CONNECTIONS.name, format!("{}.", OLD_CONNECTIONS.about));
            let old = encoder.encode_descriptor(name, &about, None, MetricType::Gauge)?;
            ConstGauge::new(connections).encode(old)?;
        }
        Ok(())
    }
}
