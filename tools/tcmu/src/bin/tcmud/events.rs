// SPDX-License-Identifier: GPL-2.0
//! Prints the kernel's device events.

use std::os::fd::AsFd;

use anyhow::Context;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use serde_json::{json, Value};

use tcmu::netlink::{Event, Netlink, Setting};

use crate::{monotonic_ns, print_line, EventsArgs};

/// An event as it is printed and logged.
pub(crate) fn to_json(event: &Event) -> Value {
    let mut fields = json!({
        "kind": event.kind.name(),
        "device": event.device,
        "minor": event.minor,
        "device_id": event.device_id,
    });
    match &event.setting {
        Some(Setting::Config(config)) => fields["dev_config"] = config.as_str().into(),
        Some(Setting::Size(size)) => fields["dev_size"] = (*size).into(),
        Some(Setting::WriteCache(enabled)) => fields["write_cache"] = (*enabled).into(),
        None => (),
    }
    fields
}

/// Returns `false` if fewer events came than wanted.
pub(crate) fn print(args: &EventsArgs) -> anyhow::Result<bool> {
    let mut netlink = Netlink::connect().context("cannot use netlink")?;
    if let Some(wait) = args.set_features {
        netlink
            .set_features(wait != 0)
            .context("the kernel refuses SET_FEATURES")?;
    }
    // A script that starts us in the background can wait for this line.
    let listening = json!({ "t_ns": monotonic_ns(), "event": "listening" });
    print_line(&listening.to_string())?;
    let end = args
        .timeout
        .map(|secs| monotonic_ns() + u64::from(secs) * 1_000_000_000);
    let mut seen = 0;
    while args.count.is_none_or(|count| seen < count) {
        let timeout = match end {
            None => PollTimeout::NONE,
            Some(end) => match end.checked_sub(monotonic_ns()) {
                None => return Ok(args.count.is_none()),
                Some(left) => millis(left),
            },
        };
        match poll(
            &mut [PollFd::new(netlink.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => (),
            Err(errno) => return Err(errno).context("poll"),
        }
        // Not before poll said so or the time is over: there may be none.
        let Some(event) = netlink.next_event().context("events were lost")? else {
            continue;
        };
        seen += 1;
        let mut line = json!({ "t_ns": monotonic_ns(), "event": "netlink" });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, to_json(&event)) {
            line.extend(fields);
        }
        if let Some(status) = args.reply.0 {
            line["reply"] = status.into();
            if let Err(error) = netlink.reply(&event, status) {
                line["reply_error"] = error.to_string().into();
            }
        }
        print_line(&line.to_string())?;
    }
    Ok(true)
}

/// A time-out of poll that ends not before `ns` nanoseconds.
pub(crate) fn millis(ns: u64) -> PollTimeout {
    PollTimeout::try_from(ns.div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
}
