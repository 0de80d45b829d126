//! The executions that this node serves.
//!
//! On a workflow node an execution is served while it runs there: the node registers it when the
//! enclave is called and takes it back when the enclave answers. A relay node that runs alone, as in
//! the devnet, runs no workflows and serves whatever was authorized.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::ids::{ExecutionId, WorkflowId};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{
    capabilities::Capabilities,
    execution::{Execution, Facts},
    vault::Vault,
};

/// Finds the execution that a request belongs to.
#[derive(Clone)]
pub struct Executions(Arc<Inner>);

enum Inner {
    Registered(Running),
    Standalone { vault: Arc<dyn Vault>, capabilities: Arc<dyn Capabilities> },
}

#[derive(Default)]
struct Running {
    executions: Mutex<HashMap<Key, Arc<Execution>>>,
    registered: Notify,
}

/// An execution's name. The two ids are a pair, never one text: joined, others could match.
type Key = (WorkflowId, ExecutionId);

/// No execution of these ids runs here, nor began to while the request waited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("execution handler for workflow {workflow_id} execution {execution_id} not found")]
pub struct NotRunning {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The execution.
    pub execution_id: ExecutionId,
}

/// Takes an execution back when it is dropped.
#[must_use]
pub struct Registration {
    executions: Executions,
    key: Key,
    execution: Arc<Execution>,
}

impl Executions {
    /// Serves the executions that are registered.
    #[must_use]
    pub fn registered() -> Self {
        Self(Arc::new(Inner::Registered(Running::default())))
    }

    /// Serves every execution with the same vault and capabilities, under no restrictions: those are
    /// the workflow node's and the enclave's to hold.
    #[must_use]
    pub fn standalone(vault: Arc<dyn Vault>, capabilities: Arc<dyn Capabilities>) -> Self {
        Self(Arc::new(Inner::Standalone { vault, capabilities }))
    }

    /// Serves an execution until the registration is dropped; one of the same ids gives way to it.
    ///
    /// A standalone node serves it anyway.
    pub fn register(
        &self,
        workflow_id: WorkflowId,
        execution_id: ExecutionId,
        execution: Execution,
    ) -> Registration {
        let (key, execution) = ((workflow_id, execution_id), Arc::new(execution));
        if let Inner::Registered(running) = &*self.0 {
            running.lock().insert(key.clone(), execution.clone());
            running.registered.notify_waiters();
        }
        Registration { executions: self.clone(), key, execution }
    }

    /// Finds an execution, waiting until `deadline` for it to begin.
    ///
    /// `facts` are those of the verified params; only a standalone node has no better ones.
    pub(crate) async fn find(
        &self,
        key: Key,
        facts: Facts<'_>,
        deadline: Instant,
    ) -> Result<Arc<Execution>, NotRunning> {
        let running = match &*self.0 {
            Inner::Registered(running) => running,
            Inner::Standalone { vault, capabilities } => {
                return Ok(Arc::new(Execution::new(&facts, vault.clone(), capabilities.clone())));
            }
        };
        loop {
            // Listening begins before the look, so no registration falls between the two.
            let mut registered = std::pin::pin!(running.registered.notified());
            registered.as_mut().enable();
            if let Some(execution) = running.lock().get(&key) {
                return Ok(execution.clone());
            }
            if timeout_at(deadline, registered).await.is_err() {
                let late = running.lock().get(&key).cloned();
                let (workflow_id, execution_id) = key;
                return late.ok_or(NotRunning { workflow_id, execution_id });
            }
        }
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Execution>>> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Inner::Registered(running) = &*self.executions.0 else { return };
        let mut executions = running.lock();
        if executions.get(&self.key).is_some_and(|found| Arc::ptr_eq(found, &self.execution)) {
            executions.remove(&self.key);
        }
    }
}

impl std::fmt::Debug for Executions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.0 {
            Inner::Registered(running) => {
                write!(f, "Executions({} registered)", running.lock().len())
            }
            Inner::Standalone { .. } => f.write_str("Executions(standalone)"),
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registration({} {})", self.key.0, self.key.1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::world::{Canned, CannedVault};

    fn execution(owner: &str) -> Execution {
        let facts = Facts { owner, ..Facts::default() };
        Execution::new(&facts, Arc::new(CannedVault::default()), Arc::new(Canned::Answers))
    }

    async fn find(executions: &Executions, workflow: &str, id: &str) -> Result<String, NotRunning> {
        let deadline = Instant::now().checked_add(Duration::from_secs(5)).unwrap();
        let key = (workflow.into(), id.into());
        let found = executions.find(key, Facts::default(), deadline).await;
        found.map(|execution| format!("{execution:?}"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_registration_wakes_all_who_wait_for_it() {
        let executions = Executions::registered();
        let wait = || {
            let executions = executions.clone();
            tokio::spawn(async move { find(&executions, "w", "e").await })
        };
        let waiting = [wait(), wait()];
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _other = executions.register("w".into(), "other".into(), execution("0x01"));
        tokio::task::yield_now().await;
        let _registration = executions.register("w".into(), "e".into(), execution("0x02"));
        for found in waiting {
            assert_eq!(found.await.unwrap().unwrap(), "Execution(of 0x02)");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_registration_does_not_take_back_a_newer_one() {
        let executions = Executions::registered();
        let older = executions.register("w".into(), "e".into(), execution("0x01"));
        let newer = executions.register("w".into(), "e".into(), execution("0x02"));
        drop(older);
        assert_eq!(find(&executions, "w", "e").await.unwrap(), "Execution(of 0x02)");
        drop(newer);
        assert!(find(&executions, "w", "e").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn ids_are_a_pair_and_not_one_text() {
        let executions = Executions::registered();
        let _registration = executions.register("a.b".into(), "c".into(), execution("0x01"));
        let error = find(&executions, "a", "b.c").await.unwrap_err();
        let text = "execution handler for workflow a execution b.c not found";
        assert_eq!(error.to_string(), text);
    }
}
