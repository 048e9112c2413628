// SPDX-License-Identifier: GPL-2.0

//! Connections from their beginning to their end.

use super::{
    common::{
        check,
        Player, //
    },
    ext::kunit::suite,
    logic::{
        action::Action,
        event::Event,
        state::{
            Id,
            Link, //
        },
    },
};

fn logs_in_and_out() {
    let mut player = Player::up(true);
    player.play(
        Event::EpDisconnect,
        &[
            Action::Suspend,
            Action::Publish,
            Action::Disconnect,
            Action::Deadline,
            Action::DestroyEndpoint,
        ],
    );
    check!(player.0.is_only_to_be_stopped());
    player.play(Event::ConnStop, STOP);
    player.is(Link::Terminating, Id::Live, false, false);
    // The CM was the last owner.
    player.play(Event::Disconnected, &[Action::Publish, Action::QueueWork]);
    player.destroy_by_work();
}

/// What the binding gives up.
const STOP: &[Action] = &[Action::Drain, Action::Unmap, Action::StopIscsi];

fn is_up_and_unreachable() {
    let mut player = Player::up(true);
    player.play(
        Event::Unreachable,
        &[
            Action::Suspend,
            Action::Report,
            Action::Publish,
            Action::Disconnect,
            Action::Deadline,
        ],
    );
    // Again, and what comes of disconnecting.
    player.play(Event::Unreachable, &[]);
    player.play(Event::EpDisconnect, &[Action::DestroyEndpoint]);
    player.play(Event::ConnStop, STOP);
    player.is(Link::Terminating, Id::Live, false, false);
    // The CM says nothing.
    player.play(Event::Work, &[Action::Publish, Action::QueueWork]);
    player.destroy_by_work();
}

fn peer_disconnects() {
    let mut player = Player::up(true);
    player.play(
        Event::Disconnected,
        &[
            Action::Suspend,
            Action::Report,
            Action::Publish,
            Action::Disconnect,
        ],
    );
    player.play(Event::TimewaitExit, &[]);
    check!(!player.0.is_only_to_be_stopped());
    player.play(Event::EpDisconnect, &[Action::DestroyEndpoint]);
    player.play(
        Event::ConnStop,
        &[
            Action::Drain,
            Action::Unmap,
            Action::StopIscsi,
            Action::QueueWork,
        ],
    );
    player.destroy_by_work();
}

fn is_refused() {
    let mut player = Player::new();
    player.play(Event::Connect, &[Action::Publish]);
    player.play(Event::ConnectError, &[Action::Publish, Action::Wake]);
    player.play(Event::ConnBind, &[Action::Refuse]);
    player.play(
        Event::EpDisconnect,
        &[Action::QueueWork, Action::DestroyEndpoint],
    );
    player.destroy_by_work();
}

fn is_given_up_while_it_is_made() {
    let mut player = Player::new();
    player.play(Event::Connect, &[Action::Publish]);
    player.play(
        Event::EpDisconnect,
        &[
            Action::Publish,
            Action::Wake,
            Action::QueueWork,
            Action::DestroyEndpoint,
        ],
    );
    // Too late.
    player.play(Event::AddrResolved, &[]);
    player.play(Event::Established, &[]);
    player.play(Event::DeviceRemoval, &[]);
    player.destroy_by_work();
}

fn cannot_be_made() {
    let mut player = Player::new();
    player.play(
        Event::EpDisconnect,
        &[
            Action::Publish,
            Action::Wake,
            Action::DestroyEndpoint,
            Action::Free,
        ],
    );
}

fn device_goes() {
    let mut player = Player::up(true);
    player.play(
        Event::DeviceRemoval,
        &[
            Action::Suspend,
            Action::Report,
            Action::Publish,
            Action::Disconnect,
            Action::Drain,
            Action::Unmap,
            Action::QueueWork,
        ],
    );
    player.is(Link::Down, Id::Queued, true, true);
    player.play(Event::EpDisconnect, &[Action::DestroyEndpoint]);
    // It does not wait for the owners.
    player.play(Event::Work, &[Action::Release, Action::DestroyId]);
    player.play(Event::Destroyed, &[]);
    player.is(Link::Down, Id::None, false, true);
    player.play(Event::ConnStop, &[Action::StopIscsi, Action::Free]);
}

fn device_goes_while_it_is_made() {
    let mut player = Player::new();
    player.play(Event::Connect, &[Action::Publish]);
    player.play(
        Event::DeviceRemoval,
        &[Action::Publish, Action::Wake, Action::QueueWork],
    );
    player.play(Event::DeviceRemoval, &[]);
    player.play(Event::Work, &[Action::Release, Action::DestroyId]);
    // Meanwhile.
    player.play(Event::EpDisconnect, &[Action::DestroyEndpoint]);
    player.is(Link::Down, Id::Destroying, false, false);
    player.play(Event::Destroyed, &[Action::Free]);
}

fn module_goes() {
    let mut player = Player::up(false);
    player.play(
        Event::ModuleExit,
        &[
            Action::Publish,
            Action::Disconnect,
            Action::QueueWork,
            Action::DestroyEndpoint,
        ],
    );
    player.destroy_by_work();

    // Nobody but the CM has it any more.
    let mut player = Player::up(false);
    player.play(
        Event::EpDisconnect,
        &[
            Action::Publish,
            Action::Disconnect,
            Action::Deadline,
            Action::DestroyEndpoint,
        ],
    );
    player.play(Event::ModuleExit, &[Action::Publish, Action::QueueWork]);
    player.destroy_by_work();
}

fn takes_one_binding() {
    let mut player = Player::up(true);
    check!(!player.0.takes_binding());
    player.play(Event::ConnBind, &[Action::Refuse]);
    player.is(Link::Up, Id::Live, true, true);
}

suite!(iser_conn_sequences:
    logs_in_and_out,
    is_up_and_unreachable,
    peer_disconnects,
    is_refused,
    is_given_up_while_it_is_made,
    cannot_be_made,
    device_goes,
    device_goes_while_it_is_made,
    module_goes,
    takes_one_binding,
);
