//! Where people hand in instructions, and where a run loop takes them.

use std::{fmt, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::{BackfillError, BackfillProgress, History, Instructed, Instruction, Refused};

/// Instructions that may wait; they are made by hand.
const WAITING_MAX: usize = 64;

/// The side of those who ask. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Errand>);

/// The side of a run loop, with the past that some instructions need.
pub struct Inbox {
    errands: mpsc::Receiver<Errand>,
    pub(super) history: Arc<dyn History>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// Something to be done between two batches.
#[derive(Debug)]
pub(super) enum Errand {
    /// One instruction on its way.
    Instruct {
        monitor: String,
        instruction: Instruction,
        answer: oneshot::Sender<Result<Instructed, Refused>>,
    },
    /// The next step of a backfill.
    Backfill {
        monitor: String,
        until_millis: i64,
        answer: oneshot::Sender<Result<BackfillProgress, BackfillError>>,
    },
}

/// An instruction was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many wait.
    #[error("too many instructions wait")]
    Behind,
    /// The run loop is stopping; whether it was carried out is not known.
    #[error("the service is stopping")]
    Stopping,
}

impl Desk {
    /// A desk and the inbox behind it.
    pub fn new(history: Arc<dyn History>) -> (Self, Inbox) {
        let (sender, errands) = mpsc::channel(WAITING_MAX);
        (Self(sender), Inbox { errands, history })
    }

    /// Has an instruction carried out; answers when what it changed is stored.
    pub async fn tell(&self, monitor: &str, instruction: Instruction) -> Result<Instructed, DeskError> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Errand::Instruct { monitor: monitor.to_owned(), instruction, answer })?;
        answered.await.map_err(|_| DeskError::Stopping)?.map_err(DeskError::from)
    }

    /// Has the next step of a backfill taken; answers when it is stored.
    pub async fn backfill(
        &self,
        monitor: &str,
        until_millis: i64,
    ) -> Result<Result<BackfillProgress, BackfillError>, DeskError> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(Errand::Backfill { monitor: monitor.to_owned(), until_millis, answer })?;
        answered.await.map_err(|_| DeskError::Stopping)
    }

    fn hand_in(&self, errand: Errand) -> Result<(), DeskError> {
        self.0.try_send(errand).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DeskError::Behind,
            mpsc::error::TrySendError::Closed(_) => DeskError::Stopping,
        })
    }
}

impl Inbox {
    /// The next errand; never without an inbox. Cancel-safe.
    pub(super) async fn next(inbox: Option<&mut Self>) -> Errand {
        let Some(inbox) = inbox else { return std::future::pending().await };
        match inbox.errands.recv().await {
            Some(errand) => errand,
            None => std::future::pending().await,
        }
    }
}
