//! Where people hand in instructions, and where a run loop takes them.

use std::{fmt, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::{History, Instructed, Instruction, Refused};

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

/// One instruction on its way.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) monitor: String,
    pub(super) instruction: Instruction,
    pub(super) answer: oneshot::Sender<Result<Instructed, Refused>>,
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
        let errand = Errand { monitor: monitor.to_owned(), instruction, answer };
        self.0.try_send(errand).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DeskError::Behind,
            mpsc::error::TrySendError::Closed(_) => DeskError::Stopping,
        })?;
        answered.await.map_err(|_| DeskError::Stopping)?.map_err(DeskError::from)
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
