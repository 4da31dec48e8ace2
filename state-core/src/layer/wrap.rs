//! One policy around every operation of a store, a namespace and a scan.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Answer, Call, Policy};
use crate::batch::{Atomicity, BatchItem, BatchOptions, BatchOutcome};
use crate::capability::{Capabilities, Durability};
use crate::control::{ControlRecord, ControlWritten, Expect};
use crate::error::{Error, ErrorKind, Operation, Outcome, Result};
use crate::gauge::Gauge;
use crate::name::NamespaceName;
use crate::namespace::{Count, CountOptions, Namespace, ReadOptions};
use crate::range::{Cursor, Range, Scope};
use crate::record::{Key, Record, Version};
use crate::scan::{Scan, ScanOptions, ScanStep};
use crate::store::{Health, NamespaceInfo, Store, StoreIdentity};
use crate::write::{Delete, Precondition, Put, WriteOptions, Written};

#[derive(Debug)]
pub(super) struct Wrapped<P> {
    inner: Arc<dyn Store>,
    policy: Arc<P>,
}

#[derive(Debug)]
struct WrappedNamespace<P> {
    inner: Arc<dyn Namespace>,
    policy: Arc<P>,
    backend: &'static str,
}

struct WrappedScan<P> {
    inner: tokio::sync::Mutex<Box<dyn Scan>>,
    policy: Arc<P>,
    backend: &'static str,
    namespace: NamespaceName,
}

/// A call whose repetition does no harm.
fn repeatable(operation: Operation, backend: &'static str) -> Call<'static> {
    let (namespace, key) = (None, None);
    Call { operation, backend, namespace, key, idempotent: true, records: 1, bytes: 0 }
}

/// A call whose repetition may meet its own first application.
fn once(operation: Operation, backend: &'static str) -> Call<'static> {
    Call { idempotent: false, ..repeatable(operation, backend) }
}

impl<P: Policy> Wrapped<P> {
    pub(super) fn new(inner: Arc<dyn Store>, policy: P) -> Self {
        Self { inner, policy: Arc::new(policy) }
    }

    fn repeatable(&self, operation: Operation) -> Call<'static> {
        repeatable(operation, self.inner.identity().backend)
    }

    fn once(&self, operation: Operation) -> Call<'static> {
        once(operation, self.inner.identity().backend)
    }
}

#[async_trait]
impl<P: Policy> Store for Wrapped<P> {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
        let call = Call { namespace: Some(name), ..self.once(Operation::CreateNamespace) };
        self.policy.run(call, || self.inner.create_namespace(name)).await
    }

    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
        let call = Call { namespace: Some(name), ..self.repeatable(Operation::OpenNamespace) };
        let inner = self.policy.run(call, || self.inner.open_namespace(name)).await?;
        Ok(Arc::new(WrappedNamespace {
            inner,
            policy: Arc::clone(&self.policy),
            backend: self.inner.identity().backend,
        }))
    }

    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
        let call = self.repeatable(Operation::ListNamespaces);
        self.policy.run(call, || self.inner.list_namespaces()).await
    }

    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
        let call = Call { namespace: Some(name), ..self.once(Operation::DropNamespace) };
        self.policy.run(call, || self.inner.drop_namespace(name)).await
    }

    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()> {
        let call = Call { namespace: Some(name), ..self.once(Operation::ReplaceNamespace) };
        self.policy.run(call, || self.inner.replace_namespace(name, staged)).await
    }

    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
        let call = self.repeatable(Operation::ControlGet);
        self.policy.run(call, || self.inner.control_get(key)).await
    }

    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
        let call = self.repeatable(Operation::ControlList);
        self.policy.run(call, || self.inner.control_list(prefix)).await
    }

    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten> {
        let call = self.once(Operation::ControlSet);
        self.policy.run(call, || self.inner.control_set(key, expect, value)).await
    }

    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
        let call = self.once(Operation::ControlDelete);
        self.policy.run(call, || self.inner.control_delete(key, expect)).await
    }

    async fn health(&self) -> Result<Health> {
        self.policy.run(self.repeatable(Operation::Health), || self.inner.health()).await
    }

    async fn sync(&self) -> Result<Durability> {
        self.policy.run(self.repeatable(Operation::Sync), || self.inner.sync()).await
    }

    async fn close(&self) -> Result<()> {
        self.policy.run(self.repeatable(Operation::Close), || self.inner.close()).await
    }

    fn gauges(&self) -> Vec<(Gauge, f64)> {
        self.inner.gauges()
    }
}

/// What a write came to, after what an earlier attempt of it came to: once an outcome was
/// unknown, a later refusal does not make it known.
fn after(earlier: Option<Result<Written>>, now: Result<Written>) -> Result<Written> {
    let unknown = matches!(&earlier, Some(Err(error)) if error.outcome() == Outcome::Unknown);
    now.map_err(|error| if unknown { error.with_outcome(Outcome::Unknown) } else { error })
}

impl<P: Policy> WrappedNamespace<P> {
    fn name(&self) -> &NamespaceName {
        &self.inner.scope().namespace
    }

    fn repeatable(&self, operation: Operation) -> Call<'_> {
        Call { namespace: Some(self.name()), ..repeatable(operation, self.backend) }
    }

    fn write<'a>(
        &'a self,
        operation: Operation,
        key: &'a Key,
        value: usize,
        options: WriteOptions,
    ) -> Call<'a> {
        let idempotent = matches!(options.precondition, Precondition::None | Precondition::IfNewer);
        let bytes = key.len() + value;
        Call { key: Some(key), idempotent, bytes, ..self.repeatable(operation) }
    }

    /// Each attempt takes the writes that are still open, so that what succeeded is not
    /// written again. A write of a key of which an earlier one failed is opened again too:
    /// the order of one key's writes is kept.
    async fn apply_per_item(
        &self,
        call: Call<'_>,
        batch: Vec<BatchItem>,
        options: BatchOptions,
    ) -> Result<BatchOutcome> {
        let results: Mutex<Vec<Option<Result<Written>>>> =
            Mutex::new(batch.iter().map(|_| None).collect());
        let open: Mutex<Vec<usize>> = Mutex::new((0..batch.len()).collect());
        let (batch, results_ref, open_ref) = (&batch, &results, &open);
        let ended = self
            .policy
            .run(call, || async move {
                let indices = open_ref.lock().clone();
                let items: Vec<BatchItem> =
                    indices.iter().filter_map(|&i| batch.get(i).cloned()).collect();
                let outcome = self.inner.apply(items, options).await?;
                if outcome.items.len() != indices.len() {
                    return Err(Error::new(
                        ErrorKind::Internal,
                        Operation::Apply,
                        "the store answered for another number of writes than it was given",
                    )
                    .with_backend(self.backend));
                }
                let mut again = Vec::new();
                let mut failed_keys = std::collections::HashSet::new();
                let mut failure: Option<Error> = None;
                let tally = outcome.tally();
                let mut results = results_ref.lock();
                for (&index, item) in indices.iter().zip(outcome.items) {
                    let Some(key) = batch.get(index).map(BatchItem::key) else { continue };
                    let retry = item.as_ref().err().filter(|error| error.may_retry(true));
                    if let Some(error) = retry {
                        failed_keys.insert(key);
                        failure.get_or_insert_with(|| error.clone());
                    }
                    if failed_keys.contains(key) {
                        again.push(index);
                    }
                    if let Some(slot) = results.get_mut(index) {
                        *slot = Some(after(slot.take(), item));
                    }
                }
                *open_ref.lock() = again;
                failure.map_or(Ok(tally), Err)
            })
            .await;
        let answered = results.into_inner();
        match ended {
            Err(error) if answered.iter().all(Option::is_none) => Err(error),
            ended => {
                let missing = ended.err();
                let items = answered
                    .into_iter()
                    .map(|item| match (item, &missing) {
                        (Some(item), _) => item,
                        (None, Some(error)) => Err(error.clone()),
                        (None, None) => Err(Error::new(
                            ErrorKind::Internal,
                            Operation::Apply,
                            "the store gave no answer for this write",
                        )),
                    })
                    .collect();
                Ok(BatchOutcome::new(items))
            }
        }
    }
}

#[async_trait]
impl<P: Policy> Namespace for WrappedNamespace<P> {
    fn scope(&self) -> &Scope {
        self.inner.scope()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &Key, options: ReadOptions) -> Result<Option<Record>> {
        let call = Call { key: Some(key), ..self.repeatable(Operation::Get) };
        self.policy.run(call, || self.inner.get(key, options)).await
    }

    async fn get_many(
        &self,
        keys: &[Key],
        options: ReadOptions,
    ) -> Result<Vec<Result<Option<Record>>>> {
        let call = Call { records: keys.len(), ..self.repeatable(Operation::GetMany) };
        self.policy.run(call, || self.inner.get_many(keys, options)).await
    }

    async fn has(&self, key: &Key, options: ReadOptions) -> Result<bool> {
        let call = Call { key: Some(key), ..self.repeatable(Operation::Has) };
        self.policy.run(call, || self.inner.has(key, options)).await
    }

    async fn put(&self, put: Put, options: WriteOptions) -> Result<Written> {
        let call = self.write(Operation::Put, &put.key, put.value.len(), options);
        self.policy.run(call, || self.inner.put(put.clone(), options)).await
    }

    async fn delete(&self, delete: Delete, options: WriteOptions) -> Result<Written> {
        let call = self.write(Operation::Delete, &delete.key, 0, options);
        self.policy.run(call, || self.inner.delete(delete.clone(), options)).await
    }

    async fn apply(&self, batch: Vec<BatchItem>, options: BatchOptions) -> Result<BatchOutcome> {
        let bytes = batch.iter().map(BatchItem::len).sum();
        let call = Call { records: batch.len(), bytes, ..self.repeatable(Operation::Apply) };
        match options.atomicity {
            Atomicity::Required => {
                self.policy.run(call, || self.inner.apply(batch.clone(), options)).await
            }
            Atomicity::PerItem => self.apply_per_item(call, batch, options).await,
        }
    }

    async fn scan(&self, options: ScanOptions) -> Result<Box<dyn Scan>> {
        let call = self.repeatable(Operation::Scan);
        let inner = self.policy.run(call, || self.inner.scan(options.clone())).await?;
        Ok(Box::new(WrappedScan {
            inner: tokio::sync::Mutex::new(inner),
            policy: Arc::clone(&self.policy),
            backend: self.backend,
            namespace: self.name().clone(),
        }))
    }

    fn cursor_after(&self, key: &Key) -> Cursor {
        self.inner.cursor_after(key)
    }

    async fn split(&self, n: usize) -> Result<Vec<Range>> {
        self.policy.run(self.repeatable(Operation::Split), || self.inner.split(n)).await
    }

    async fn count(&self, options: CountOptions) -> Result<Count> {
        self.policy.run(self.repeatable(Operation::Count), || self.inner.count(options)).await
    }

    async fn purge_deleted(&self, before: Version) -> Result<u64> {
        let call = self.repeatable(Operation::Purge);
        self.policy.run(call, || self.inner.purge_deleted(before)).await
    }
}

#[async_trait]
impl<P: Policy> Scan for WrappedScan<P> {
    async fn next(&mut self) -> Result<ScanStep> {
        // The lock is never contended: it lets an attempt borrow the scan more than once.
        let call = repeatable(Operation::Scan, self.backend);
        let call = Call { namespace: Some(&self.namespace), ..call };
        let inner = &self.inner;
        self.policy.run(call, || async move { inner.lock().await.next().await }).await
    }
}
