// SPDX-License-Identifier: GPL-2.0
//! The event log: one JSON object a line.

use std::fmt;
use std::io::{self, Write};

use serde_json::{Map, Value};

/// Writes events, or drops them if there is nowhere to write them to.
#[derive(Default)]
pub struct EventLog {
    out: Option<Box<dyn Write>>,
    error: Option<io::Error>,
}

impl EventLog {
    /// A log on `out`. Each event is one write; buffers of `out` are flushed after it.
    pub fn new(out: Box<dyn Write>) -> Self {
        Self {
            out: Some(out),
            error: None,
        }
    }

    /// Writes an event. `t_ns` is nanoseconds of CLOCK_MONOTONIC; `fields`, an object, is only made if the
    /// log goes anywhere.
    pub fn event(&mut self, t_ns: u64, event: &str, fields: impl FnOnce() -> Value) {
        let Some(out) = &mut self.out else { return };
        let mut object = Map::new();
        object.insert("t_ns".into(), t_ns.into());
        object.insert("event".into(), event.into());
        if let Value::Object(fields) = fields() {
            object.extend(fields);
        }
        let line = format!("{}\n", Value::Object(object));
        if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            // A log with holes is worse than none: stop, and let the owner know.
            self.error = Some(error);
            self.out = None;
        }
    }

    /// Why the log stopped, once.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog")
            .field("open", &self.out.is_some())
            .field("error", &self.error)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Vec<u8>>>, usize);

    impl Write for Shared {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            if self.0.borrow().len() >= self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.borrow_mut().extend(buf);
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_event_is_a_line_with_time_and_name_first() {
        let out = Shared(Rc::default(), 1000);
        let mut log = EventLog::new(Box::new(out.clone()));
        log.event(7, "cmd", || json!({"id": 1}));
        log.event(8, "exit", || json!({}));
        let text = String::from_utf8(out.0.borrow().clone()).unwrap();
        assert_eq!(
            text,
            "{\"t_ns\":7,\"event\":\"cmd\",\"id\":1}\n{\"t_ns\":8,\"event\":\"exit\"}\n"
        );
    }

    #[test]
    fn a_full_disk_is_reported_once() {
        let mut log = EventLog::new(Box::new(Shared::default()));
        log.event(1, "cmd", || json!({}));
        assert!(log.take_error().is_some());
        log.event(2, "cmd", || panic!("must not be made"));
        assert!(log.take_error().is_none());
    }
}
