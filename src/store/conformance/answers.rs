use std::time::SystemTime;

use crate::domain::PipelineId;

use super::{
    super::{Answer, Batch, CommitError, KeptAnswer, PipelineWrite, RequestKey},
    Tested,
    world::*,
};

fn key(number: u128) -> RequestKey {
    RequestKey {
        principal: "alice".to_owned(),
        method: "Call".to_owned(),
        request_id: id(number),
    }
}

fn answer(fingerprint: u8, time: SystemTime) -> KeptAnswer {
    KeptAnswer {
        fingerprint: [fingerprint; 32],
        answer: Answer::Nothing,
        time,
    }
}

async fn keep(
    store: &impl AnyStore,
    number: u128,
    fingerprint: u8,
    time: SystemTime,
) -> Result<(), CommitError> {
    let batch = Batch {
        answer: Some((key(number), answer(fingerprint, time))),
        ..Batch::default()
    };
    store.commit(batch).await
}

pub(crate) async fn an_answer_is_kept_once(mut store: Tested) {
    assert!(store.answer(&key(1), at(1)).await.unwrap().is_none());
    keep(&store, 1, 7, at(1)).await.unwrap();
    store.reopen().await;
    let kept = store.answer(&key(1), at(1)).await.unwrap().unwrap();
    assert_eq!((kept.fingerprint, kept.time), ([7; 32], at(1)));

    // A second record with the key changes nothing, nor does the rest of its batch.
    let batch = Batch {
        answer: Some((key(1), answer(8, at(2)))),
        ..write(PipelineWrite::Create(pipeline(1, "p")))
    };
    match store.commit(batch).await {
        Err(CommitError::Answered(kept)) => assert_eq!(kept.fingerprint, [7; 32]),
        other => panic!("{other:?}"),
    }
    assert!(store.pipeline(PipelineId(id(1))).await.unwrap().is_none());
    // The failed batch does not reserve the name of the pipeline that was not created,
    // either.
    store
        .commit(write(PipelineWrite::Create(pipeline(2, "p"))))
        .await
        .unwrap();

    for other in [
        RequestKey {
            principal: "other".to_owned(),
            ..key(1)
        },
        RequestKey {
            method: "Other".to_owned(),
            ..key(1)
        },
        key(2),
    ] {
        assert!(store.answer(&other, at(1)).await.unwrap().is_none());
    }
}

pub(crate) async fn old_answers_go(mut store: Tested) {
    const DAY: u64 = 24 * 60 * 60;
    keep(&store, 1, 1, at(0)).await.unwrap();
    keep(&store, 2, 2, at(10)).await.unwrap();
    keep(&store, 3, 3, at(DAY)).await.unwrap();
    store.reopen().await;
    assert!(store.answer(&key(1), at(1)).await.unwrap().is_some());
    keep(&store, 4, 4, at(DAY + 1)).await.unwrap();
    assert!(store.answer(&key(1), at(1)).await.unwrap().is_none());
    assert!(store.answer(&key(2), at(1)).await.unwrap().is_some());
}

pub(crate) async fn answers_refer(mut store: Tested) {
    let answers = [
        Answer::Nothing,
        Answer::Pipeline(PipelineId(id(1)), 3),
        Answer::Job(job_id(10), 17),
        Answer::Project("default".to_owned(), 5),
    ];
    for (number, reference) in (1..).zip(&answers) {
        let kept = KeptAnswer {
            answer: reference.clone(),
            ..answer(9, at(1))
        };
        let batch = Batch {
            answer: Some((key(number), kept)),
            ..Batch::default()
        };
        store.commit(batch).await.unwrap();
    }
    store.reopen().await;
    for (number, reference) in (1..).zip(answers) {
        let kept = store.answer(&key(number), at(1)).await.unwrap().unwrap();
        assert_eq!(kept.answer, reference);
    }
}

pub(crate) async fn an_old_answer_is_not_valid_and_can_be_removed(mut store: Tested) {
    const DAY: u64 = 24 * 60 * 60;
    for (number, time) in [(1, 0), (2, 10)] {
        keep(&store, number, 1, at(time)).await.unwrap();
    }
    store.reopen().await;
    let is_valid = async |store: &Tested, number, now| {
        let answer = store.answer(&key(number), at(now)).await.unwrap();
        answer.is_some()
    };
    assert!(is_valid(&store, 1, DAY).await);
    assert!(!is_valid(&store, 1, DAY + 1).await);
    assert!(is_valid(&store, 2, DAY + 1).await);
    // Another call may use the key again.
    keep(&store, 1, 9, at(DAY + 1)).await.unwrap();
    store.reopen().await;
    let answer = store.answer(&key(1), at(DAY + 1)).await.unwrap().unwrap();
    assert_eq!(answer.fingerprint, [9; 32]);

    assert_eq!(store.remove_answers(at(10)).await.unwrap(), 0);
    assert_eq!(store.remove_answers(at(11)).await.unwrap(), 1);
    store.reopen().await;
    assert!(!is_valid(&store, 2, 12).await);
    assert!(is_valid(&store, 1, DAY + 1).await);
    assert_eq!(store.remove_answers(at(2 * DAY)).await.unwrap(), 1);
    let nothing = crate::store::Usage::default();
    assert_eq!(store.usage().await.unwrap(), nothing);
}
