//! Random sequences of operations on a connection.

use proptest::{collection::vec, prelude::*};
use tokio::runtime::Builder;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// A write of slices of these sizes.
    Write(Vec<usize>),
    Flush,
    Read,
    PassEnds,
    /// The socket accepts this many bytes before it is full.
    Room(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![0..600_usize, 0..2 * MAX_HELD];
    prop_oneof![
        4 => vec(size, 0..4).prop_map(Step::Write),
        2 => Just(Step::Flush),
        1 => Just(Step::Read),
        2 => Just(Step::PassEnds),
        1 => prop_oneof![0..3 * MAX_HELD, Just(0), Just(usize::MAX)].prop_map(Step::Room),
    ]
}

/// A connection, with all bytes that it accepted.
struct World {
    socket: Socket,
    connection: Deferred<Socket>,
    accepted: Vec<u8>,
}

impl World {
    fn write(&mut self, sizes: &[usize]) {
        let wanted: usize = sizes.iter().sum();
        // A prime period, so that data at a wrong offset differs.
        let next = (self.accepted.len()..).map(|offset| (offset % 251) as u8);
        let data: Vec<u8> = next.take(wanted).collect();
        let mut rest = &data[..];
        let mut slices = Vec::new();
        for size in sizes {
            let (slice, others) = rest.split_at(*size);
            slices.push(IoSlice::new(slice));
            rest = others;
        }
        let mut context = Context::from_waker(Waker::noop());
        let written = Pin::new(&mut self.connection).poll_write_vectored(&mut context, &slices);
        if let Poll::Ready(written) = written {
            let written = written.unwrap();
            assert!(written > 0 || wanted == 0, "no progress");
            self.accepted.extend(&data[..written]);
        }
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Write(sizes) => self.write(&sizes),
            Step::Flush => drop(flush(&mut self.connection)),
            Step::Read => drop(read(&mut self.connection)),
            Step::PassEnds => yield_now().await,
            Step::Room(room) => self.socket.make_room(room),
        }
        let received = self.socket.received();
        let held: Vec<u8> = self.connection.held.iter().copied().collect();
        assert!(held.len() <= MAX_HELD);
        assert!(
            [received, held].concat() == self.accepted,
            "data was lost, changed or reordered"
        );
    }
}

fn run(steps: Vec<Step>, last: impl AsyncFnOnce(&mut World)) {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let socket = Socket::default();
        let connection = Deferred::new(socket.clone());
        let accepted = Vec::new();
        let mut world = World {
            socket,
            connection,
            accepted,
        };
        for step in steps {
            world.apply(step).await;
        }
        world.socket.make_room(usize::MAX);
        last(&mut world).await;
        assert!(world.socket.received() == world.accepted, "data is missing");
        assert!(world.socket.is_flushed());
        assert_eq!(world.connection.held.capacity(), 0);
    });
}

async fn shuts_down(world: &mut World) {
    world.connection.shutdown().await.unwrap();
    assert!(world.socket.is_shut());
}

#[test]
fn a_socket_with_room_for_the_buffered_data_only_leaves_no_buffer() {
    let steps = vec![
        Step::Write(vec![482, 27_951, 114]),
        Step::Write(vec![575]),
        Step::Room(29_394),
        Step::Write(vec![243, 29]),
        Step::Write(vec![3_375]),
    ];
    run(steps, shuts_down);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn flushed_data_is_sent_after_the_pass(steps in vec(step(), 0..40)) {
        run(steps, async |world| {
            assert!(flush(&mut world.connection).is_ready());
            yield_now().await;
            assert!(read(&mut world.connection).is_pending());
        });
    }

    #[test]
    fn written_data_is_sent_before_a_shutdown(steps in vec(step(), 0..40)) {
        run(steps, shuts_down);
    }
}
