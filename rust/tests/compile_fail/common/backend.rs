// SPDX-License-Identifier: GPL-2.0

// The parts of a backend that a case does not care for. The case has `struct Kept`, which is what a
// device keeps, and `impl Hostile` with `configure()` and `execute()`.

use ext::output::Output;
use kernel::{
    prelude::*,
    sync::{
        ArcBorrow,
        Mutex, //
    },
};
use target::{
    backend::{
        Backend,
        Mode, //
    },
    command::{
        AbortedCommands,
        Command,
        Refused, //
    },
    device::Device,
    tmr_function::TmrFunction,
};

module! {
    type: HostileModule,
    name: "hostile",
    authors: ["The lio-rust developers"],
    description: "A backend that must not compile",
    license: "GPL",
}

struct HostileModule;

impl kernel::Module for HostileModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[pin_data]
struct Hostile {
    #[pin]
    kept: Mutex<Kept>,
}

#[vtable]
impl Backend for Hostile {
    type Module = HostileModule;

    const NAME: &'static CStr = c"hostile";
    const MODE: Mode = Mode::Passthrough;

    fn new(_host_id: u32, _name: &CStr) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            kept <- kernel::new_mutex!(Kept::default()),
        })
    }

    fn configure_device(device: ArcBorrow<'_, Device<Self>>) -> Result {
        Self::configure(device)
    }

    fn destroy_device(_device: ArcBorrow<'_, Device<Self>>) {}

    fn execute_cmd(device: &Device<Self>, command: Command) -> Result<(), Refused> {
        device.execute(command)
    }

    fn tmr_notify(device: &Device<Self>, function: TmrFunction, aborted: AbortedCommands<'_>) {
        device.notify(function, aborted);
    }

    fn set_configfs_dev_params(_device: &Device<Self>, _text: &[u8]) -> Result {
        Ok(())
    }

    fn show_configfs_dev_params(_device: &Device<Self>, _out: &mut Output<'_>) -> Result {
        Ok(())
    }

    fn get_blocks(_device: &Device<Self>) -> u64 {
        0
    }
}
