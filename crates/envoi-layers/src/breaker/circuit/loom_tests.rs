//! Callers, verdicts and probes that race, under every interleaving.

use std::sync::Arc;

use loom::sync::atomic::AtomicUsize;
use loom::thread;

use super::*;

const LIMITS: Limits = Limits { failures: 2, cooldown: 10 };

fn permit(passage: Passage) -> Option<Permit> {
    match passage {
        Passage::Granted(permit) => Some(permit),
        Passage::Wait(_) | Passage::Probing => None,
    }
}

/// BD-4: of three who come when the cooldown is over one is the probe.
#[test]
fn exactly_one_probe() {
    loom::model(|| {
        let circuit = Arc::new(Circuit::default());
        circuit.set(State::Open { until: 5 });
        let probes = Arc::new(AtomicUsize::new(0));
        let knock = |circuit: &Circuit, probes: &AtomicUsize| {
            if let Some(permit) = permit(circuit.admit(|| 5)) {
                assert!(permit.is_probe);
                probes.fetch_add(1, Ordering::Relaxed);
            }
        };
        let others = [(); 2].map(|()| {
            let (circuit, probes) = (Arc::clone(&circuit), Arc::clone(&probes));
            thread::spawn(move || knock(&circuit, &probes))
        });
        knock(&circuit, &probes);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(probes.load(Ordering::Relaxed), 1);
        assert!(matches!(circuit.word().state, State::HalfOpen { .. }));
    });
}

/// BD-4: a slot that is freed while others knock is taken by one of them or stays free; it is never lost or doubled.
#[test]
fn a_freed_slot_is_taken_once() {
    loom::model(|| {
        let circuit = Arc::new(Circuit::default());
        circuit.set(State::Open { until: 5 });
        let probe = permit(circuit.admit(|| 5)).unwrap();
        let others = [(); 2].map(|()| {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || permit(circuit.admit(|| 5)).is_some())
        });
        assert!(circuit.conclude(probe, Verdict::Neutral, LIMITS, || 5));
        let taken = others.map(|other| other.join().unwrap()).into_iter().filter(|taken| *taken).count();
        match circuit.word().state {
            State::HalfOpen { .. } => assert_eq!(taken, 1),
            state => {
                assert_eq!((taken, state), (0, State::Open { until: 5 }));
            }
        }
    });
}

/// BD-4: failures of several at once are all counted, and one of them opens the circuit, once.
#[test]
fn failures_at_once_open_it_once() {
    loom::model(|| {
        let circuit = Arc::new(Circuit::default());
        let permits = [(); 3].map(|()| permit(circuit.admit(|| 0)).unwrap());
        let threads = permits.map(|permit| {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || circuit.conclude(permit, Verdict::Failure, LIMITS, || 0))
        });
        let changes =
            threads.map(|thread| thread.join().unwrap()).into_iter().filter(|changed| *changed).count();
        assert_eq!(changes, 1);
        assert_eq!(circuit.word(), Word { state: State::Open { until: 10 }, epoch: 1 });
    });
}

/// BD-4: a straggler from before the outage, a probe that succeeds and a newcomer: the circuit ends up closed, and the
/// straggler has no say.
#[test]
fn a_straggler_has_no_say() {
    loom::model(|| {
        let circuit = Arc::new(Circuit::default());
        let straggler = permit(circuit.admit(|| 0)).unwrap();
        circuit.set(State::Open { until: 5 });
        let probe = permit(circuit.admit(|| 5)).unwrap();
        let late = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || circuit.conclude(straggler, Verdict::Failure, LIMITS, || 5))
        };
        let newcomer = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || permit(circuit.admit(|| 5)))
        };
        assert!(circuit.conclude(probe, Verdict::Success, LIMITS, || 5));
        assert!(!late.join().unwrap());
        assert!(newcomer.join().unwrap().is_none_or(|permit| !permit.is_probe));
        assert_eq!(circuit.word().state, State::Closed { failures: 0 });
    });
}
