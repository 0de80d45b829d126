//! Compiles aside: each compiler one binary at a time, in turn between owners, on threads that give way.
//!
//! A compilation uses all processors while nothing else does, so a first run waits no longer than
//! for wasmtime alone. Its threads have a low priority: where workflows run, they come first.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// The threads that compile, for all engines' users together. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    threads: Arc<ThreadPool>,
    waiting: Arc<Mutex<Waiting>>,
}

/// How many threads compile.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Threads {
    /// As many as there are processors: somebody waits.
    EachProcessor,
    /// Nobody waits.
    One,
}

/// A binary that waits to be compiled.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// An owner has as many binaries waiting as it may; here is the one that is too many.
pub(crate) struct TooMany<T = Task>(pub(crate) T);

#[derive(Default)]
struct Waiting {
    queue: Queue<Task>,
    /// Whether a thread works the queue off.
    is_worked: bool,
}

/// First in, first out for each owner; owners take turns.
#[derive(Debug)]
struct Queue<T> {
    by_owner: HashMap<String, VecDeque<T>>,
    turns: VecDeque<String>,
}

impl Compiler {
    /// Starts the threads, with a low priority.
    pub(crate) fn new(threads: Threads) -> Result<Self, ThreadPoolBuildError> {
        let (name, count) = match threads {
            Threads::EachProcessor => ("compile", 0),
            Threads::One => ("optimize", 1),
        };
        let threads = ThreadPoolBuilder::new()
            .thread_name(move |index| format!("{name} {index}"))
            .num_threads(count)
            .start_handler(|_index| {
                // Where the priority cannot be lowered, the scheduler still shares fairly.
                rustix::process::setpriority_process(None, NICE).ok();
            })
            .build()?;
        Ok(Self { threads: Arc::new(threads), waiting: Arc::default() })
    }

    /// Does something on the threads that compile, and waits for it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.threads.install(work)
    }

    /// Waits until the queue is empty. Only where there is one thread, because that one is then free.
    pub(crate) fn drain(&self) {
        debug_assert_eq!(self.threads.current_num_threads(), 1, "others may still be at work");
        self.run(|| ());
    }

    /// Queues a task behind the owner's earlier ones.
    pub(crate) fn queue(&self, owner: &str, task: Task) -> Result<(), TooMany> {
        let mut waiting = self.waiting();
        waiting.queue.push(owner, task)?;
        if !std::mem::replace(&mut waiting.is_worked, true) {
            let compiler = self.clone();
            self.threads.spawn(move || compiler.work());
        }
        Ok(())
    }

    fn work(&self) {
        while let Some(task) = self.next() {
            // A task that panics has dropped what its owner waits for, and the next one is due.
            drop(std::panic::catch_unwind(AssertUnwindSafe(task)));
        }
    }

    fn next(&self) -> Option<Task> {
        let mut waiting = self.waiting();
        let task = waiting.queue.pop();
        waiting.is_worked = task.is_some();
        task
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Queue<T> {
    fn push(&mut self, owner: &str, task: T) -> Result<(), TooMany<T>> {
        let tasks = self.by_owner.entry(owner.to_owned()).or_default();
        if tasks.len() >= WAITING_PER_OWNER {
            return Err(TooMany(task));
        }
        if tasks.is_empty() {
            self.turns.push_back(owner.to_owned());
        }
        tasks.push_back(task);
        Ok(())
    }

    fn pop(&mut self) -> Option<T> {
        let owner = self.turns.pop_front()?;
        let tasks = self.by_owner.get_mut(&owner)?;
        let task = tasks.pop_front();
        if tasks.is_empty() {
            self.by_owner.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        task
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { by_owner: HashMap::new(), turns: VecDeque::new() }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let owners = self.queue.turns.len();
        f.debug_struct("Waiting").field("owners", &owners).finish_non_exhaustive()
    }
}

/// Weighs a tenth of a thread that runs workflows, so a compilation goes on even where those never
/// pause.
const NICE: i32 = 10;

/// Each may be a binary of 20 MiB, and the owner's own later runs wait behind it.
const WAITING_PER_OWNER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_take_turns() {
        let mut queue = Queue::default();
        for (owner, task) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)] {
            assert!(queue.push(owner, task).is_ok());
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [1, 4, 5, 2, 6, 3]);
        assert!(queue.by_owner.is_empty() && queue.turns.is_empty());
    }

    #[test]
    fn an_owner_who_queues_too_much_is_refused_and_others_are_not() {
        let mut queue = Queue::default();
        for task in 0..WAITING_PER_OWNER {
            assert!(queue.push("a", task).is_ok());
        }
        assert!(matches!(queue.push("a", 99), Err(TooMany(99))));
        assert!(queue.push("b", 100).is_ok());
        assert_eq!(queue.pop(), Some(0));
        assert!(queue.push("a", 101).is_ok());
    }

    #[test]
    fn a_task_that_panics_does_not_stop_the_queue() {
        let compiler = Compiler::new(Threads::EachProcessor).unwrap();
        let (sender, done) = std::sync::mpsc::channel();
        let tasks: [Task; 2] =
            [Box::new(|| panic!("lost")), Box::new(move || sender.send(()).unwrap())];
        for task in tasks {
            assert!(compiler.queue("a", task).is_ok());
        }
        done.recv().unwrap();
    }

    #[test]
    fn the_threads_that_compile_give_way() {
        let compiler = Compiler::new(Threads::EachProcessor).unwrap();
        let own = rustix::process::getpriority_process(None).unwrap();
        let theirs = compiler.run(|| rustix::process::getpriority_process(None).unwrap());
        assert!(theirs > own || own >= NICE, "{theirs} {own}");
    }
}
