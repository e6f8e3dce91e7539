use std::{collections::BTreeSet, sync::Arc};

use crate::domain::{ActionKind, FencingToken, Holder, LostWorkspace, Offer, RunKey, RunnerId};

use super::{
    CodecError, Kind, Stored, messages,
    primitives::{Numbered, id_from_bytes, id_to_bytes, numbered, position_to_stored, required},
};

numbered!(ActionKind: Command);

impl Stored for Offer {
    const KIND: Kind = Kind::Offer;
    type Message = messages::Offer;

    fn to_message(&self) -> Self::Message {
        let Self { labels, actions } = self;
        messages::Offer {
            labels: labels.clone(),
            actions: actions.iter().map(|action| action.number()).collect(),
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::Offer { labels, actions } = message;
        let action = |number| Numbered::from_number(number, "Offer.actions");
        let actions: Result<BTreeSet<_>, _> = actions.into_iter().map(action).collect();
        Ok(Self {
            labels,
            actions: actions?,
        })
    }
}

impl Stored for LostWorkspace {
    const KIND: Kind = Kind::LostWorkspace;
    type Message = messages::LostWorkspace;

    fn to_message(&self) -> Self::Message {
        let Self {
            runner_id,
            offer,
            before,
        } = self;
        messages::LostWorkspace {
            runner_id: id_to_bytes(runner_id.0),
            offer: Some(offer.to_message()),
            before: before.0,
        }
    }

    fn from_message(message: Self::Message) -> Result<Self, CodecError> {
        let messages::LostWorkspace {
            runner_id,
            offer,
            before,
        } = message;
        let offer = required(offer, "LostWorkspace.offer")?;
        Ok(Self {
            runner_id: RunnerId(id_from_bytes(&runner_id, "LostWorkspace.runner_id")?),
            offer: Arc::new(Offer::from_message(offer)?),
            before: FencingToken(before),
        })
    }
}

pub(super) fn holder_to_message(holder: Holder) -> messages::Holder {
    let Holder { runner_id, token } = holder;
    messages::Holder {
        runner_id: id_to_bytes(runner_id.0),
        token: token.0,
    }
}

pub(super) fn holder_from_message(holder: messages::Holder) -> Result<Holder, CodecError> {
    let messages::Holder { runner_id, token } = holder;
    Ok(Holder {
        runner_id: RunnerId(id_from_bytes(&runner_id, "Holder.runner_id")?),
        token: FencingToken(token),
    })
}

pub(super) fn run_key_to_message(key: RunKey) -> messages::RunKey {
    let RunKey { stage, attempt } = key;
    messages::RunKey {
        stage: position_to_stored(stage),
        attempt,
    }
}

pub(super) fn run_key_from_message(key: messages::RunKey) -> RunKey {
    let messages::RunKey { stage, attempt } = key;
    RunKey {
        stage: stage as usize,
        attempt,
    }
}
