//! Operations: running commands, named by an id.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::commands::{self, Common, Format};
use super::debug::write_values;
use super::handles::{self, Kind, Object};
use super::model::{ErrorItem, Row};
use super::{Fields, Out, USS_OK, USS_PENDING, USS_READY, buffer, clixml, copied, guard, guard_quietly, panics};
use crate::copy::Plan;
use crate::error::{Error, ErrorKind};
use crate::folder::{Folder, PackageFiles};
use crate::log::{Log, LogRecord};
use crate::operation::{self, Context, Delivery, Output, PROGRESS_LENGTH, Page};
use crate::update_service::UpdateService;

/// Values that uss_op_wait tells of the progress: phase (0 starting, 1 planning, 2 transferring, 3 verifying), items
/// done, items in all, bytes done, bytes in all, bytes per second, then eight running transfers of three values each:
/// id, bytes done, bytes in all. What is not known is 0. It may grow at the end.
pub const USS_PROGRESS_LENGTH: u32 = 30;
const _: () = assert!(USS_PROGRESS_LENGTH as usize == PROGRESS_LENGTH);

/// Starts a command; `out->id` is the operation. The commands, their fields and rows are described below.
///
/// The operation is the caller's until uss_op_free.
///
/// Returns USS_OK, or USS_FAILED: the command or a field is not right, or a connection that it names is not one.
///
/// # Safety
/// `command` is NULL or readable for `len` bytes; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_op_start(command: *const u8, len: u32, out: *mut Out) -> i32 {
    let work = || {
        // SAFETY: `command` is NULL or readable for `len` bytes.
        let text = unsafe { copied(command, len, "command") }?;
        let operation = commands::start(Fields::parse(text, "the command")?)?;
        Ok((USS_OK, Out::id(handles::insert(operation)?)))
    };
    // SAFETY: `out` is NULL or writable.
    unsafe { guard(out, work) }
}

/// Waits at most `timeout_ms` milliseconds until the operation has a page of rows or has ended, well or not, and fills
/// `progress`, which has room for `progress_len` values (see USS_PROGRESS_LENGTH), as far as it goes.
///
/// Waiting renews the operation's lease.
///
/// Returns USS_READY (now uss_op_take_result), USS_PENDING, or USS_FAILED for an id that is no operation.
///
/// # Safety
/// `progress` is NULL or writable for `progress_len` values; `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_op_wait(
    op: u64,
    timeout_ms: u32,
    progress: *mut u64,
    progress_len: u32,
    out: *mut Out,
) -> i32 {
    let work = || {
        let operation = handles::get::<Operation>(op)?;
        let ready = operation.wait(Duration::from_millis(timeout_ms.into()));
        if !progress.is_null() {
            let mut values = [0; PROGRESS_LENGTH];
            operation.running.progress().read(&mut values);
            // SAFETY: `progress` is writable for `progress_len` values.
            unsafe { write_values(progress, progress_len, values) };
        }
        Ok((if ready { USS_READY } else { USS_PENDING }, Out::default()))
    };
    // SAFETY: `out` is NULL or writable.
    unsafe { guard(out, work) }
}

/// Asks an operation to stop. It ends soon after with the error `Cancelled`, unless it had ended already.
///
/// May be called again and again. Returns USS_OK, or USS_FAILED for an id that is no operation.
#[unsafe(no_mangle)]
pub extern "C" fn uss_op_cancel(op: u64) -> i32 {
    guard_quietly(|| {
        handles::get::<Operation>(op)?.running.cancel();
        Ok(())
    })
}

/// Takes the next page: `out` names a buffer that holds at most 500 rows in the command's `format`.
///
/// CLIXML is one `Objs` element with an element a row; JSON is an array with an element a row. A row that is the error
/// of one item is an object of type `Uss.Error` in CLIXML, and `{"Error": {...}}` in JSON, with the properties Code,
/// Category, Message, Hint, HttpStatus (a number or null), Target and Server.
///
/// Returns USS_PENDING for a page after which more follow (wait again), USS_OK for the last one, USS_FAILED: the
/// operation as a whole failed (its rows, if any, were given before), it is not ready, or its last page was taken.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_op_take_result(op: u64, out: *mut Out) -> i32 {
    let work = || {
        let operation = handles::get::<Operation>(op)?;
        let page = operation.running.take()?;
        let status = if page.last { USS_OK } else { USS_PENDING };
        Ok((status, buffer::keep(operation.format.write(&page)?.into_bytes())?))
    };
    // SAFETY: `out` is NULL or writable.
    unsafe { guard(out, work) }
}

/// Frees an operation, and cancels it if it still runs. Buffers that were taken from it stay.
///
/// Returns USS_OK, or USS_FAILED for an id that is no operation.
#[unsafe(no_mangle)]
pub extern "C" fn uss_op_free(op: u64) -> i32 {
    guard_quietly(|| handles::remove::<Operation>(op).map(drop))
}

/// Takes the log lines since the last call: `out` names a buffer, or is {0, 0} when there are none.
///
/// Records are separated by U+001E, each is `level U+001F text`: V verbose, D debug, W warning, and N
/// `transfer-id U+001F label`, which names a transfer before its id appears in the progress. The command's field `log`
/// says which of V and D are kept; W and N always are.
///
/// Returns USS_OK, or USS_FAILED for an id that is no operation.
///
/// # Safety
/// `out` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uss_log_drain(op: u64, out: *mut Out) -> i32 {
    let work = || {
        let records: Vec<String> =
            handles::get::<Operation>(op)?.running.log().drain().iter().map(log_record).collect();
        let lines =
            if records.is_empty() { Out::default() } else { buffer::keep(records.join("\u{1e}").into_bytes())? };
        Ok((USS_OK, lines))
    };
    // SAFETY: `out` is NULL or writable.
    unsafe { guard(out, work) }
}

fn log_record(record: &LogRecord) -> String {
    let (level, text) = match record {
        LogRecord::Verbose(text) => ("V", text),
        LogRecord::Debug(text) => ("D", text),
        LogRecord::Warning(text) => ("W", text),
        LogRecord::Transfer { id, label } => return format!("N\u{1f}{id}\u{1f}{}", super::without_separators(label)),
    };
    format!("{level}\u{1f}{}", super::without_separators(text))
}

/// A command that was started.
#[derive(Debug)]
pub(super) struct Operation {
    running: operation::Operation<Row>,
    format: Format,
    lease: Duration,
    plan: PlanSlot,
}

/// A plan that the command copy can run.
#[derive(Debug)]
pub(super) enum AnyPlan {
    /// From a server to servers.
    Servers(Plan<UpdateService, UpdateService>),
    /// From a server to a folder.
    Save(Plan<UpdateService, Folder>, Folder),
    /// From files to servers.
    Import(Plan<PackageFiles, UpdateService>),
}

/// Where a planning operation leaves its plan for the copy.
type PlanSlot = Arc<Mutex<Option<AnyPlan>>>;

/// What a command works with.
pub(super) struct Run {
    /// Progress, log, cancellation.
    pub(super) context: Context,
    /// Where rows go.
    pub(super) output: Output<Row>,
    plan: PlanSlot,
}

impl Run {
    /// Gives a row.
    pub(super) fn row(&self, row: impl Into<Row>) {
        self.output.push(Ok(row.into()));
    }

    /// Gives many rows.
    pub(super) fn rows(&self, rows: impl IntoIterator<Item = impl Into<Row>>) {
        rows.into_iter().for_each(|row| self.row(row));
    }

    /// Leaves a plan for the copy, and keeps it until this operation is freed.
    pub(super) fn keep_plan(&self, plan: AnyPlan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }

    /// Gives the error of one item; the others go on.
    pub(super) fn fail(&self, error: Error) {
        self.output.push(Err(error));
    }
}

impl Operation {
    /// Starts `work` as `common` says.
    pub(super) fn start<F>(common: &Common, delivery: Delivery, work: impl FnOnce(Run) -> F) -> Result<Self, Error>
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let plan = PlanSlot::default();
        let left = plan.clone();
        let running = operation::Operation::start(Log::new(common.log), delivery, |context, output| {
            panics::catch_async(work(Run { context, output, plan: left }))
        })?;
        Ok(Self { running, format: common.format, lease: common.lease(), plan })
    }

    /// The plan that this operation made; a plan is copied once.
    pub(super) fn take_plan(&self) -> Option<AnyPlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits in slices, as only the ends of a wait renew the lease.
    fn wait(&self, timeout: Duration) -> bool {
        let slice = self.lease / 4;
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.running.wait(left.min(slice)) {
                return true;
            }
            if left <= slice {
                return false;
            }
        }
    }
}

impl Object for Operation {
    fn kind() -> Kind {
        Kind::Operation
    }

    fn lease_left(&self) -> Option<Duration> {
        Some(self.lease.saturating_sub(self.running.idle()))
    }

    fn leave(&self) {
        self.running.cancel();
    }
}

impl Format {
    fn write(self, page: &Page<Row>) -> Result<String, Error> {
        let written = match self {
            Self::Clixml => clixml::write(page.rows.iter().map(Item)).map_err(|error| error.to_string()),
            Self::Json => {
                let rows: Vec<JsonItem<'_>> = page.rows.iter().map(JsonItem::from).collect();
                serde_json::to_string(&rows).map_err(|error| error.to_string())
            }
        };
        written.map_err(|what| Error::new(ErrorKind::Internal, format!("A page of rows cannot be written: {what}.")))
    }
}

/// A row as CLIXML has it: errors are told by their type name.
struct Item<'a>(&'a operation::Row<Row>);

impl serde::Serialize for Item<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Ok(row) => row.serialize(serializer),
            Err(error) => ErrorItem::from(error).serialize(serializer),
        }
    }
}

/// A row as JSON has it: errors are told by a wrapper, as JSON has no type names.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum JsonItem<'a> {
    Row(&'a Row),
    Failed {
        #[serde(rename = "Error")]
        error: ErrorItem,
    },
}

impl<'a> From<&'a operation::Row<Row>> for JsonItem<'a> {
    fn from(row: &'a operation::Row<Row>) -> Self {
        match row {
            Ok(row) => Self::Row(row),
            Err(error) => Self::Failed { error: ErrorItem::from(error) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page<Row> {
        let failed = Error::new(ErrorKind::PackageNotFound, "no b").with_http_status(404).with_target("b");
        Page { rows: vec![Ok(Row::Boolean(true)), Err(failed)], last: true }
    }

    #[test]
    fn an_items_error_stands_among_the_rows() {
        let json = Format::Json.write(&page()).unwrap();
        assert!(json.starts_with(r#"[true,{"Error":{"Code":"PackageNotFound","#), "{json}");
        let xml = Format::Clixml.write(&page()).unwrap();
        assert!(xml.contains("<B>true</B><Obj RefId=\"0\"><TN RefId=\"0\"><T>Uss.Error</T>"), "{xml}");
        assert!(xml.contains("<I32 N=\"HttpStatus\">404</I32>"), "{xml}");
    }

    #[test]
    fn log_records_hold_no_separator_of_their_own() {
        let records = [
            LogRecord::Verbose("a\u{1e}b".into()),
            LogRecord::Warning("w".into()),
            LogRecord::Transfer { id: 3, label: "c\u{1f}1.0".into() },
        ];
        let texts: Vec<String> = records.iter().map(log_record).collect();
        assert_eq!(texts, ["V\u{1f}a b", "W\u{1f}w", "N\u{1f}3\u{1f}c 1.0"]);
    }
}
